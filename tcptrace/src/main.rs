//! spike
use aya::{EbpfLoader, Btf, programs::{BtfTracePoint, Iter}, maps::{RingBuf, MapData}};
use tcptrace_common::{layout::{FIELDS, ABSENT, Settings}, symbols, record::*};
use std::time::Instant;
use std::io::Read;
fn find(btf: &btf_rs::Btf, structure: &str, path: &str) -> Option<u16> {
    let t = btf.resolve_types_by_name(structure).ok()?.into_iter().find_map(|t| match t { btf_rs::Type::Struct(s) => Some(s), _ => None })?;
    let mut cur = t; let mut off = 0u32;
    let parts: Vec<&str> = path.split('.').collect();
    for (i, part) in parts.iter().enumerate() {
        let (o, ty) = member(btf, &cur, part)?;
        off += o;
        if i + 1 < parts.len() { cur = strip(btf, ty)?; }
    }
    u16::try_from(off/8).ok()
}
fn strip(btf: &btf_rs::Btf, mut ty: btf_rs::Type) -> Option<btf_rs::Struct> {
    loop { match ty { btf_rs::Type::Struct(s) | btf_rs::Type::Union(s) => return Some(s), btf_rs::Type::Typedef(t) => ty = btf.resolve_chained_type(&t).ok()?, btf_rs::Type::Const(t)|btf_rs::Type::Volatile(t) => ty = btf.resolve_chained_type(&t).ok()?, _ => return None } }
}
fn member(btf: &btf_rs::Btf, s: &btf_rs::Struct, name: &str) -> Option<(u32, btf_rs::Type)> {
    for m in &s.members {
        let n = btf.resolve_name(m).unwrap_or_default();
        let ty = btf.resolve_chained_type(m).ok()?;
        if n == name { return Some((m.bit_offset(), ty)); }
        if n.is_empty() && let Some(inner) = strip(btf, ty) && let Some((o,t)) = member(btf, &inner, name) { return Some((m.bit_offset()+o, t)); }
    }
    None
}
fn main() {
    let t = Instant::now();
    let b = btf_rs::Btf::from_file_with_backend("/sys/kernel/btf/vmlinux", btf_rs::Backend::Cache).unwrap();
    eprintln!("btf-rs cache {:?}", t.elapsed());
    let t = Instant::now();
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    eprintln!("read {:?}", t.elapsed());
    drop(bytes);
    let t = Instant::now();
    let btf = Btf::from_sys_fs().unwrap();
    eprintln!("aya btf {:?}", t.elapsed());
    let mut layout: Vec<u16> = Vec::new();
    for f in FIELDS { let o = find(&b, f.structure, f.path); if o.is_none() { eprintln!("absent {} {}", f.structure, f.path);} layout.push(o.unwrap_or(ABSENT)); }
    let settings = Settings { cookie_helper: 1, wake_bytes: 1<<20, ..Default::default() };
    let t = Instant::now();
    static BYTES: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcptrace-ebpf"));
    let sb: &[u8] = bytemuck::bytes_of(&settings);
    let mut ebpf = EbpfLoader::new().btf(Some(&btf)).override_global(symbols::LAYOUT, bytemuck::cast_slice::<u16,u8>(&layout), true).override_global(symbols::SETTINGS, sb, true).override_global("AYA_LOG_LEVEL", &0u8, false).load(BYTES).unwrap();
    eprintln!("load {:?}", t.elapsed());
    for (n,tp) in [("set_state_btf","inet_sock_set_state"),("destroy_sock","tcp_destroy_sock"),("receive_reset","tcp_receive_reset"),("send_reset","tcp_send_reset")] {
        let t = Instant::now();
        let p: &mut BtfTracePoint = ebpf.program_mut(n).unwrap().try_into().unwrap();
        if let Err(e) = p.load(tp, &btf) { eprintln!("{n}: {e:#}"); if let aya::programs::ProgramError::LoadError{verifier_log,..}=&e { eprintln!("{}", verifier_log);} continue; }
        p.attach().unwrap();
        eprintln!("{n} attach {:?}", t.elapsed());
    }
    for (n,tp,sz) in [("iter_tcp","tcp",size_of::<SocketRecord>()),("iter_task_file","task_file",size_of::<OwnerRecord>())] {
        let p: &mut Iter = ebpf.program_mut(n).unwrap().try_into().unwrap();
        if let Err(e) = p.load(tp, &btf) { eprintln!("{n}: {e:#}"); if let aya::programs::ProgramError::LoadError{verifier_log,..}=&e { eprintln!("{}", verifier_log);} continue; }
        let t = Instant::now();
        let id = p.attach().unwrap();
        let link = p.take_link(id).unwrap();
        let mut f = link.into_file().unwrap();
        let mut v = Vec::new(); f.read_to_end(&mut v).unwrap();
        eprintln!("{n}: {} records rem {} {:?}", v.len()/sz, v.len()%sz, t.elapsed());
        for c in v.chunks(sz).take(5) { if sz==48 { eprintln!("{:?}", bytemuck::pod_read_unaligned::<OwnerRecord>(c)); } else { eprintln!("{:?}", bytemuck::pod_read_unaligned::<SocketRecord>(c)); } }
    }
    let mut ring: RingBuf<MapData> = RingBuf::try_from(ebpf.take_map("EVENTS").unwrap()).unwrap();
    let l = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let c = std::net::TcpStream::connect(l.local_addr().unwrap()).unwrap();
    let s = l.accept().unwrap(); drop(c); drop(s);
    std::thread::sleep(std::time::Duration::from_millis(100));
    while let Some(item) = ring.next() { match item[0] { 1 => eprintln!("{:?}", bytemuck::pod_read_unaligned::<TransitionRecord>(&item)), 2 => eprintln!("{:?}", bytemuck::pod_read_unaligned::<DetailRecord>(&item)), _ => eprintln!("{:?}", bytemuck::pod_read_unaligned::<HookRecord>(&item)) } }
    std::fs::write("/proc/sys/kernel/bpf_stats_enabled","1").unwrap();
    let mut conns = vec![];
    let t = Instant::now();
    for _ in 0..20000 { let c = std::net::TcpStream::connect(l.local_addr().unwrap()).unwrap(); let s = l.accept().unwrap(); drop(c); drop(s); if false {conns.push(0);} while ring.next().is_some() {} }
    eprintln!("20000 conns {:?}", t.elapsed());
    std::fs::write("/proc/sys/kernel/bpf_stats_enabled","0").unwrap();
    for (n,p) in ebpf.programs() { if let Ok(i)=p.info() { eprintln!("{n} {:?} {:?} jited {}", i.run_time(), i.run_count(), i.size_jitted()); if i.run_count()>0 { eprintln!("   {} ns", i.run_time().as_nanos()/i.run_count() as u128); } } }
}
