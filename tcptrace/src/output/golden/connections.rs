use bytes::BytesMut;
use insta::assert_snapshot;

use super::{Format, Style, color, samples, text, times, wide, widest, with_times};
use crate::{model::change::Finished, output::connections::Connections};

fn printed(style: Style, lives: &[Finished]) -> String {
    let mut out = BytesMut::new();
    let mut connections = Connections::new(style, times());
    connections.header(&mut out);
    for life in lives {
        connections.line(&mut out, life);
    }
    text(&out)
}

#[test]
fn table() {
    assert_snapshot!(printed(Style::new(Format::Table), &samples::connections::lives()));
}

#[test]
fn table_wide_with_times() {
    let style = wide(with_times(Style::new(Format::Table)));
    assert_snapshot!(printed(style, &samples::connections::lives()));
}

#[test]
fn table_in_color() {
    assert_snapshot!(printed(
        color(Style::new(Format::Table)),
        &samples::connections::lives()[..3]
    ));
}

#[test]
fn bcc() {
    assert_snapshot!(printed(Style::new(Format::Bcc), &samples::connections::lives()));
}

#[test]
fn bcc_wide_with_times() {
    let style = wide(with_times(Style::new(Format::Bcc)));
    assert_snapshot!(printed(style, &samples::connections::lives()));
}

#[test]
fn bcc_csv_with_times() {
    let style = with_times(Style::new(Format::BccCsv));
    assert_snapshot!(printed(style, &samples::connections::lives()));
}

#[test]
fn csv() {
    assert_snapshot!(printed(Style::new(Format::Csv), &samples::connections::lives()));
}

#[test]
fn json() {
    assert_snapshot!(printed(Style::new(Format::Json), &samples::connections::lives()));
}

#[test]
fn an_ipv4_line_fits_80_columns() {
    let lives = samples::connections::lives();
    let text = printed(Style::new(Format::Table), &lives[..4]);
    assert!(widest(&text) <= 80, "{text}");
}
