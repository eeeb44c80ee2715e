use bytes::BytesMut;
use insta::assert_snapshot;

use super::{FORMATS, Format, Style, color, samples, text, times, wide, widest, with_times};
use crate::{
    event::Comm,
    model::change::{Moved, Owner},
    output::transitions::Transitions,
};

fn printed(style: Style, moves: &[Moved]) -> String {
    let mut out = BytesMut::new();
    let mut transitions = Transitions::new(style, times());
    transitions.header(&mut out);
    for moved in moves {
        transitions.line(&mut out, moved);
    }
    text(&out)
}

#[test]
fn table() {
    assert_snapshot!(printed(Style::new(Format::Table), &samples::transitions::moves()));
}

#[test]
fn table_with_times() {
    let style = with_times(Style::new(Format::Table));
    assert_snapshot!(printed(style, &samples::transitions::moves()));
}

#[test]
fn table_wide_with_times() {
    let style = wide(with_times(Style::new(Format::Table)));
    assert_snapshot!(printed(style, &samples::transitions::moves()));
}

#[test]
fn table_in_color() {
    assert_snapshot!(printed(
        color(Style::new(Format::Table)),
        &samples::transitions::moves()[..5]
    ));
}

#[test]
fn bcc() {
    assert_snapshot!(printed(Style::new(Format::Bcc), &samples::transitions::moves()));
}

#[test]
fn bcc_wide_with_times() {
    let style = wide(with_times(Style::new(Format::Bcc)));
    assert_snapshot!(printed(style, &samples::transitions::moves()));
}

#[test]
fn bcc_csv() {
    assert_snapshot!(printed(Style::new(Format::BccCsv), &samples::transitions::moves()));
}

#[test]
fn bcc_csv_with_times() {
    let style = with_times(Style::new(Format::BccCsv));
    assert_snapshot!(printed(style, &samples::transitions::moves()));
}

#[test]
fn csv() {
    assert_snapshot!(printed(Style::new(Format::Csv), &samples::transitions::moves()));
}

#[test]
fn json() {
    assert_snapshot!(printed(Style::new(Format::Json), &samples::transitions::moves()));
}

#[test]
fn a_plain_ipv4_line_fits_80_columns() {
    let longest = Moved {
        owner: Owner::Task(samples::process(4_194_304, "fifteen-letters")),
        identity: samples::identity(samples::tuple(
            "192.168.100.100:65535",
            "255.255.255.255:65535",
        )),
        from: tcptrace_common::tcp_state::TcpState::Established,
        ..samples::transitions::moved()
    };
    let text =
        printed(Style::new(Format::Table), &[longest, samples::transitions::moved_unknown()]);
    assert!(widest(&text) < 80, "{text}");
}

#[test]
fn one_record_is_one_line_whatever_a_process_is_called() {
    for byte in 1..=255 {
        let moved = Moved {
            owner: Owner::Task(crate::event::Process { pid: 1, comm: Comm([byte; 16]) }),
            on_cpu: Some(crate::event::Process { pid: 1, comm: Comm([byte; 16]) }),
            ..samples::transitions::moved()
        };
        for format in FORMATS {
            let text = printed(Style::new(format), &[moved]);
            let lines = if format == Format::Json { 1 } else { 2 };
            assert_eq!(text.lines().count(), lines, "{text}");
            let printable = |c: char| c == '\n' || !c.is_control();
            assert!(text.chars().all(printable), "{text:?}");
        }
    }
}
