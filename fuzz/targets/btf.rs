//! Any bytes as the kernel's BTF: what the loader asks of it has an answer in bounded time and memory, and
//! what is made of it for aya can be read by aya.
#![no_main]

use aya::{Btf as AyaBtf, Endianness};
use aya_obj::btf::BtfKind;
use libfuzzer_sys::fuzz_target;
use tcptrace::kernel::{btf::Btf, fuzzing};
use tcptrace_common::layout::{ABSENT, FIELDS};

const TRACEPOINTS: &[&str] = &["inet_sock_set_state", "tcp_send_reset", "tcp_destroy_sock", "x"];
const FUNCTIONS: &[&str] = &["inet_csk_accept", "inet_twsk_alloc", "y"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(btf) = Btf::parse(bytes.to_vec()) else {
        return;
    };
    let offset = |index: usize| {
        let field = &FIELDS[index];
        let found = btf.field(field.structure, field.path)?;
        u16::try_from(found.bits / 8).ok().filter(|&offset| offset != ABSENT)
    };
    match fuzzing::offsets(&btf) {
        Ok(offsets) => {
            assert_eq!(offsets.len(), FIELDS.len());
            for (index, &there) in offsets.iter().enumerate() {
                assert!(there != ABSENT || !FIELDS[index].required);
                // The others may lie in another structure than they did.
                assert!(!FIELDS[index].required || offset(index) == Some(there));
            }
        }
        Err(_) => assert!(
            (0..FIELDS.len()).any(|index| FIELDS[index].required && offset(index).is_none())
        ),
    }
    _ = btf.iterator_type("tcp");
    let only = btf.only(TRACEPOINTS, FUNCTIONS);
    let names = TRACEPOINTS.iter().chain(FUNCTIONS);
    let names: usize = names.map(|name| "btf_trace_".len() + name.len() + 1).sum();
    assert!(only.len() <= bytes.len() + names + 25, "more than it was made of");
    let again = AyaBtf::parse(&only, Endianness::default()).expect("what aya can read");
    for name in TRACEPOINTS {
        let typedef = format!("btf_trace_{name}");
        let id = again.id_by_type_name_kind(&typedef, BtfKind::Typedef).ok();
        assert!(id.is_some() || btf.tracepoint_arguments(name).is_none(), "{name} is missing");
    }
    for name in FUNCTIONS {
        let id = again.id_by_type_name_kind(name, BtfKind::Func).ok();
        assert!(id.is_some() || btf.function_arguments(name).is_none(), "{name} is missing");
    }
});
