//! The numbers of a report, in tables.

use std::hash::Hash;

use super::markup::Html;
use crate::{
    model::{
        change::{End, Role},
        report::{
            Report, STATES, WAITING,
            dwells::Dwells,
            tally::{Shares, Tally},
        },
    },
    output::{
        people,
        report::{TOP, words},
        units::Nanoseconds,
    },
};

/// Writes how long connections were in each state, and in all.
pub(super) fn states(html: &mut Html<'_>, report: &Report) {
    html.raw("<div class=\"card\">\n");
    html.element(
        "p class=\"soft\"",
        "P50, P90, P99: half, nine tenths, 99 of 100 took no longer. Only times known exactly have a \
         part in them; the others are counted to the right.",
    );
    html.table(
        "scroll",
        "Times by state",
        &[
            "State",
            "#Exact",
            "#P50",
            "#P90",
            "#P99",
            "#Longest",
            "#At least",
            "#Estimated",
            "#Unknown",
        ],
    );
    for (state, dwells) in STATES.iter().zip(&report.dwells) {
        if dwells.total() > 0 {
            times(html, state.name(), &format!("/states/{state}"), dwells);
        }
    }
    times(html, "Lifetime", "/lifetimes", &report.lifetimes);
    html.end_table();
    html.raw("</div>\n");
}

fn times(html: &mut Html<'_>, name: &str, of: &str, dwells: &Dwells) {
    const NUMBER: &str = "td class=\"n\"";
    let Dwells { exact, at_least, estimated, unknown } = dwells;
    html.raw("<tr>");
    html.element("th scope=\"row\"", name);
    html.count(NUMBER, &format!("{of}/exact"), exact.count());
    let quantiles = [
        ("p50", exact.at(0.5)),
        ("p90", exact.at(0.9)),
        ("p99", exact.at(0.99)),
        ("max", exact.max()),
    ];
    for (name, ns) in quantiles {
        html.known(NUMBER, &format!("{of}/{name}_ns"), ns, |ns| Nanoseconds(ns).to_string());
    }
    for (name, count) in [("at_least", at_least), ("estimated", estimated), ("unknown", unknown)] {
        html.count(NUMBER, &format!("{of}/{name}"), *count);
    }
    html.raw("</tr>\n");
}

/// Writes how connections ended, whose they were, and what they were for.
pub(super) fn connections(html: &mut Html<'_>, report: &Report) {
    html.raw("<div class=\"pair\">\n<div class=\"card\">\n");
    html.table("scroll", "How they ended", &["End", "#Connections", ""]);
    let most = report.ends.iter().copied().max().unwrap_or(0);
    for (end, count) in End::ALL.iter().zip(report.ends).filter(|(_, count)| *count > 0) {
        let name = end.name().unwrap_or("unknown");
        row(html, name, &format!("/ends/{name}"), count, most);
    }
    html.end_table();
    html.raw("</div>\n<div class=\"card\">\n");
    html.table("scroll", "Who opened them", &["Role", "#Connections", ""]);
    let unknown = report.roles.shares(0).unknown;
    let [active, passive] = [Role::Active, Role::Passive].map(|role| report.roles.of(&role));
    let most = active.max(passive).max(unknown);
    for (name, of, count) in [
        ("this host (active)", "/roles/active", active),
        ("the other end (passive)", "/roles/passive", passive),
        ("not known", "/roles/unknown", unknown),
    ] {
        row(html, name, of, count, most);
    }
    html.end_table();
    html.raw("</div>\n");
    top(html, "What they were for", "Service", "/services", &report.services, words::service_port);
    top(html, "Whose they were", "Process", "/processes", &report.processes, people::process);
    html.raw("</div>\n");
}

/// Writes who entered the states that wait, most often.
pub(super) fn waiting(html: &mut Html<'_>, report: &Report) {
    html.raw("<div class=\"pair\">\n");
    for (state, entered) in WAITING.iter().zip(&report.entered) {
        let of = format!("/{}", state.name().to_lowercase());
        let processes = format!("{of}/processes");
        top(
            html,
            &format!("Who entered {state} most often"),
            "Process",
            &processes,
            &entered.processes,
            people::process,
        );
        top(
            html,
            &format!("With whom {state} was entered most often"),
            "Other end",
            &format!("{of}/peers"),
            &entered.peers,
            ToString::to_string,
        );
    }
    html.raw("</div>\n");
}

fn top<K: Copy + Ord + Hash>(
    html: &mut Html<'_>,
    caption: &str,
    what: &str,
    of: &str,
    tally: &Tally<K>,
    name: impl Fn(&K) -> String,
) {
    let Shares { top, others, unknown, at_least } = tally.shares(TOP);
    html.raw("<div class=\"card\">\n");
    html.table("scroll", caption, &[what, "#Connections", ""]);
    let most = top.first().map_or(0, |(_, count)| *count).max(others).max(unknown);
    for (index, (key, count)) in top.iter().enumerate() {
        row(html, &name(key), &format!("{of}/entries/{index}/connections"), *count, most);
    }
    if others > 0 {
        let others_are = if at_least { "others (counts above are lower bounds)" } else { "others" };
        row(html, others_are, &format!("{of}/others"), others, most);
    }
    if unknown > 0 || top.is_empty() {
        row(html, "not known, or of nobody", &format!("{of}/unknown"), unknown, most);
    }
    html.end_table();
    html.raw("</div>\n");
}

fn row(html: &mut Html<'_>, name: &str, of: &str, count: u64, most: u64) {
    html.raw("<tr>");
    html.element("th scope=\"row\" class=\"wide\"", name);
    html.count("td class=\"n\"", of, count);
    // What there is can be seen.
    let percent = (u128::from(count) * 100 / u128::from(most.max(1))).max(u128::from(count.min(1)));
    html.raw(&format!(
        "<td class=\"bar\" aria-hidden=\"true\"><span style=\"width:{percent}%\"></span></td></tr>\n"
    ));
}
