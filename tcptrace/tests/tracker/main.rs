//! The tracker from outside: events in, lines out, with a clock of the test's own.
//!
//! Most tests are tables of cases, each written like a row of a protocol: what happens, and the
//! lines that must come of it (`script.rs` says how to write one). The rest are properties that hold
//! for every order of events.

mod closing;
mod diagram;
mod findings;
mod findings_script;
mod gaps;
mod hooks;
mod identity;
mod listening;
mod look_alikes;
mod minisocks;
mod opening;
mod properties;
mod random_events;
mod raw;
mod render;
mod report;
mod reuse;
mod rotated;
mod rows;
mod script;
mod selected;
mod snapshots;
mod teed;

/// Cases as tests: the name says what is expected, then come the script and its lines.
macro_rules! cases {
    ($($name:ident: $script:literal => $lines:literal)+) => {
        $(#[test]
        fn $name() {
            $crate::script::check($script, $lines);
        })+
    };
}
pub(crate) use cases;
