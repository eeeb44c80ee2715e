//! spike
use std::fmt::Write;
use tcptrace::{
    kernel::*,
    model::{change::Change, filter::Filter, tracker::Options},
    pipeline::Pipeline,
};
fn main() {
    env_logger::init();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let t = std::time::Instant::now();
        let mut s = match KernelSource::start(&SourceOptions::default()) {
            Ok(s) => s,
            Err(e) => {
                eprintln!("{e:#}");
                std::process::exit(3);
            }
        };
        eprintln!("start {:?} mode {:?} degraded {:?}", t.elapsed(), s.mode(), s.degraded());
        for h in s.hooks() {
            eprintln!("{h:?}");
        }
        let mut p = Pipeline::tracked(
            Options {
                reset_hook: s.has_hook("tcp_send_reset"),
                destroy_hook: s.has_hook("tcp_destroy_sock"),
                ..Options::default()
            },
            Filter::default(),
            clock::sample(),
        );
        let quiet = std::env::var("QUIET").is_ok();
        let mut w = |c: &Change, _: &tcptrace::time::ClockSample, out: &mut bytes::BytesMut| {
            if quiet {
                return;
            }
            if let Change::Moved(m) = c {
                let _ = writeln!(
                    out,
                    "{} {:>5?}->{:<5?} {} -> {} {:?} {:?} {:?} {:?} k={}",
                    m.identity.id,
                    m.identity.tuple.local.port,
                    m.identity.tuple.remote.port,
                    m.from,
                    m.to,
                    m.dwell,
                    m.evidence,
                    m.reason,
                    m.owner,
                    m.identity.kernel
                );
            }
        };
        let d = std::env::args()
            .nth(1)
            .and_then(|a| a.parse().ok())
            .map(std::time::Duration::from_secs);
        let sum =
            tcptrace::live::run(&mut s, &mut p, bytes::BytesMut::new(), &mut w, d).await.unwrap();
        eprintln!("{sum:?}");
    });
}
