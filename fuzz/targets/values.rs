//! Any text as the value of an option: what is understood means the same when it is written out.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tcptrace::{
    cli::values::{self, List, NetnsSelector},
    replay::Speed,
};

fuzz_target!(|text: &str| {
    if let Ok(ports) = values::ports(text) {
        assert!(ports.0.iter().all(|&port| port > 0));
        assert_eq!(values::ports(&written(&ports)), Ok(ports));
    }
    if let Ok(pids) = values::pids(text) {
        assert!(pids.0.iter().all(|&pid| pid > 0));
        assert_eq!(values::pids(&written(&pids)), Ok(pids));
    }
    if let Ok(states) = values::states(text) {
        assert_eq!(values::states(&written(&states)), Ok(states));
    }
    if let Ok(kinds) = values::kinds(text) {
        let names: Vec<_> = kinds.0.iter().map(|kind| kind.name()).collect();
        assert_eq!(values::kinds(&names.join(",")), Ok(kinds));
    }
    if let Ok(network) = values::network(text) {
        assert_eq!(values::network(&network.to_string()), Ok(network));
        assert_eq!(network, network.trunc());
    }
    if let Ok(comm) = values::comm(text)
        && !text.contains('\0')
    {
        assert!(comm.as_bytes().len() <= 15 && text.as_bytes().starts_with(comm.as_bytes()));
    }
    match values::netns(text) {
        Ok(NetnsSelector::Inode(inode)) => assert!(inode > 0),
        Ok(NetnsSelector::Path(path)) => assert_eq!(path.as_os_str(), text),
        Ok(NetnsSelector::Own) => assert_eq!(text, "self"),
        Err(_) => {}
    }
    if let Ok(count) = values::count(text) {
        assert_eq!(values::count(&count.to_string()), Ok(count));
    }
    for parse in [values::limit, values::duration, values::settle] {
        if let Ok(time) = parse(text) {
            assert_eq!(parse(&in_words(time)), Ok(time));
        }
    }
    if let Ok(limits) = values::limits(text) {
        let list: Vec<_> =
            limits.0.iter().map(|(state, time)| format!("{state}={}", in_words(*time))).collect();
        assert_eq!(values::limits(&list.join(",")), Ok(limits));
    }
    if let Ok(rotate) = values::rotate(text) {
        let size = rotate.bytes.map(|bytes| format!("{bytes}B"));
        let time = rotate.time.map(in_words);
        let list: Vec<_> = [size, time].into_iter().flatten().collect();
        assert_eq!(values::rotate(&list.join(",")), Ok(rotate));
    }
    if let Ok(Speed::Times(times)) = values::speed(text) {
        assert_eq!(values::speed(&times.to_string()), Ok(Speed::Times(times)));
    }
});

fn written<T: ToString>(list: &List<T>) -> String {
    assert!(!list.0.is_empty());
    list.0.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn in_words(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
