//! The report as a page: one file that asks nothing of the network and runs no script.

mod chart;
mod diagram;
mod findings;
mod markup;
mod tables;

use bytes::BytesMut;

use super::{Account, stuck, words};
use crate::{model::summary::Losses, output::units::Nanoseconds};
use markup::Html;

const STYLE: &str = include_str!("html/style.css");

/// Writes the page.
pub(super) fn page(out: &mut BytesMut, account: &Account<'_>) {
    let html = &mut Html(out);
    let told = stuck::told(account);
    html.raw(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n",
    );
    html.element("title", &format!("TCP connections of {}", words::machine(account)));
    html.raw("<style>\n");
    html.raw(STYLE);
    html.raw("</style>\n</head>\n<body>\n<header>\n");
    html.element("h1", &format!("TCP connections of {}", words::machine(account)));
    html.raw("<p class=\"soft\">");
    html.text(&words::from_to(account));
    html.raw(" (");
    let lasted = |ns| Nanoseconds(ns).to_string();
    html.known("span", "/span_ns", account.span().ns(), lasted);
    html.raw(")</p>\n</header>\n<main>\n");
    findings::verdict(html, account, &told);
    totals(html, account);
    section(html, "Over time");
    chart::charts(html, account);
    if !told.is_empty() {
        section(html, "What was stuck, why, and what helps");
        findings::groups(html, account, &told);
    }
    section(html, "Time in each state");
    tables::states(html, account.report);
    section(html, "Connections that ended");
    tables::connections(html, account.report);
    section(html, "Who waits");
    tables::waiting(html, account.report);
    section(html, "The state diagram");
    html.raw("<div class=\"pair drawn\">\n<div class=\"card\">\n");
    diagram::drawing(html, account.report);
    html.raw("</div>\n<div class=\"card\">\n");
    diagram::table(html, account.report);
    html.raw("</div>\n</div>\n</main>\n<footer>\n");
    html.element(
        "p",
        "Times: plain is exact; >= lasted at least that long; <= was so then, perhaps before; \
         ~ is told from the socket's timers; – is not known. Connections within the host count with \
         both their ends.",
    );
    html.element("p", concat!("tcptrace ", env!("CARGO_PKG_VERSION")));
    html.raw("</footer>\n</body>\n</html>\n");
}

fn section(html: &mut Html<'_>, title: &str) {
    html.element("h2", title);
}

/// Writes what was counted in all.
fn totals(html: &mut Html<'_>, account: &Account<'_>) {
    let summary = account.summary;
    let Losses { ring_full, recursion, undecodable, recorder_behind } = summary.lost;
    html.raw("<dl class=\"totals\">\n");
    for (name, of, count) in [
        ("connections opened", "/opened", account.report.opened),
        ("connections finished", "/connections", account.report.finished),
        ("transitions", "/transitions", summary.transitions()),
        ("events", "/events", account.span().events),
    ] {
        total(html, name, of, count);
    }
    for (name, of, count) in [
        ("lost: ring buffer full", "/lost/ring_full", ring_full),
        ("lost: recursion", "/lost/recursion", recursion),
        ("lost: undecodable", "/lost/undecodable", undecodable),
        ("lost: recorder behind", "/lost/recorder_behind", recorder_behind),
        ("forgotten for lack of room", "/evicted", summary.evicted),
    ] {
        if count > 0 {
            total(html, name, of, count);
        }
    }
    if summary.lost.total() == 0 {
        html.raw("<div><dt>lost</dt><dd>0</dd></div>\n");
    }
    total(html, "uncertain", "/uncertain", summary.uncertain);
    html.raw("</dl>\n");
    if account.incomplete {
        html.element(
            "p class=\"soft\"",
            "Not all existing sockets, or who holds them, could be looked at.",
        );
    }
}

fn total(html: &mut Html<'_>, name: &str, of: &str, count: u64) {
    html.raw("<div>");
    html.element("dt", name);
    html.count("dd", of, count);
    html.raw("</div>\n");
}
