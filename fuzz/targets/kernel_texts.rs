//! Any text as one of the kernel: a tracepoint's format, the cgroups of a process, settings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcptrace::{
    event::{Sysctl, Sysctls},
    kernel::fuzzing,
};

fuzz_target!(|text: &str| {
    if fuzzing::tracepoint_format(text).is_ok() {
        // Each field is needed, wherever it stands and whatever else there is.
        for field in ["skaddr", "oldstate", "newstate", "sport", "dport", "family", "protocol"] {
            let names = |line: &&str| line.contains(field);
            assert!(text.lines().any(|line| names(&line)), "{field} is not there");
            let without: Vec<&str> = text.lines().filter(|line| !names(line)).collect();
            assert!(fuzzing::tracepoint_format(&without.join("\n")).is_err(), "{field}");
        }
        assert!(fuzzing::tracepoint_format(&format!("{text}\nmore")).is_ok());
    }
    if let Some(path) = fuzzing::cgroup_path(text) {
        assert!(text.lines().any(|line| line.ends_with(&format!(":{path}"))), "{path:?}");
    }
    let sysctls = Sysctls::new(1, Sysctl::ALL.iter().map(|&sysctl| (sysctl, text.to_owned())));
    for &sysctl in Sysctl::ALL {
        let value = sysctls.text(sysctl).expect("as it was given");
        assert_eq!(value, text.split_whitespace().collect::<Vec<_>>().join(" "));
        _ = sysctls.number(sysctl);
    }
    assert!(sysctls.local_port_count().is_none_or(|count| count <= 65_536));
});
