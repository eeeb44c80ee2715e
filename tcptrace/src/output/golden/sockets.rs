use bytes::BytesMut;
use insta::assert_snapshot;

use super::{Format, Style, color, samples, text, wide, widest};
use crate::{model::socket_list::ListedSocket, output::sockets::sockets};

fn printed(style: Style, list: &[ListedSocket]) -> String {
    let mut out = BytesMut::new();
    sockets(&mut out, &style, list);
    text(&out)
}

#[test]
fn table() {
    assert_snapshot!(printed(Style::new(Format::Table), &samples::sockets::list()));
}

#[test]
fn table_wide() {
    assert_snapshot!(printed(wide(Style::new(Format::Table)), &samples::sockets::list()));
}

#[test]
fn table_in_color() {
    assert_snapshot!(printed(color(Style::new(Format::Table)), &samples::sockets::list()[..4]));
}

#[test]
fn an_empty_table_has_its_heads() {
    assert_snapshot!(printed(Style::new(Format::Table), &[]));
}

#[test]
fn csv() {
    assert_snapshot!(printed(Style::new(Format::Csv), &samples::sockets::list()));
}

#[test]
fn json() {
    assert_snapshot!(printed(Style::new(Format::Json), &samples::sockets::list()));
}

#[test]
fn an_ipv4_line_fits_80_columns() {
    let text = printed(Style::new(Format::Table), &[samples::sockets::listed()]);
    assert!(widest(&text) <= 80, "{text}");
}
