//! What was stuck: who, since when, how fast, why, and what helps.

use std::fmt;

use super::markup::{Html, grouped};
use crate::{
    event::ProcessDetails,
    model::findings::finding::{Finding, HeldBy},
    output::{
        addresses::End,
        escape::printable_text,
        people,
        report::{Account, stuck::Told, words},
        table::stuck as table,
        units::Known,
    },
};

/// Writes the answer that a reader looks for first.
pub(super) fn verdict(html: &mut Html<'_>, account: &Account<'_>, told: &[Told<'_>]) {
    let now = account.report.findings.now();
    let is_bad = told.iter().any(|told| told.group.now() > 0);
    let class = if is_bad { "card verdict bad" } else { "card verdict" };
    html.raw(&format!("<section class=\"{class}\" aria-label=\"What is stuck\">\n<p>"));
    html.number("strong", "/stuck", now, &grouped(now));
    html.raw(match now {
        1 => " connection was stuck at the end.</p>\n",
        _ => " connections were stuck at the end.</p>\n",
    });
    for told in told.iter().filter(|told| told.group.now() > 0).take(3) {
        html.raw("<p>");
        html.text(&sentence(account, told));
        html.raw("</p>\n");
    }
    html.raw("</section>\n");
}

/// `36 in CLOSE_WAIT: webserver(812) on port 8080, since 12:42:49, 46.7 more per minute.`
fn sentence(account: &Account<'_>, told: &Told<'_>) -> String {
    let since = match told.since() {
        Some(_) => format!(", since {}", words::since(account, told)),
        None => String::new(),
    };
    let growth = match told.per_minute {
        Some(more) if more > 0.0 => format!(", {more} more per minute"),
        Some(_) => ", not growing".to_owned(),
        None => String::new(),
    };
    if let Some(pressure) = &told.first.pressure {
        return format!(
            "{} % of the local ports are taken, mostly by TIME_WAIT: {}.",
            pressure.percent(),
            words::who(told)
        );
    }
    format!(
        "{} in {}: {}{since}{growth}.",
        grouped(told.group.now()),
        told.first.kind.state(),
        words::who(told)
    )
}

/// Writes all groups.
pub(super) fn groups(html: &mut Html<'_>, account: &Account<'_>, told: &[Told<'_>]) {
    for (index, told) in told.iter().enumerate() {
        group(html, account, index, told);
    }
    match account.report.findings.others() {
        0 => {}
        others => {
            html.number(
                "p class=\"soft\"",
                "/findings_others",
                others,
                &format!("{others} more findings, for which there was no room"),
            );
        }
    }
}

fn group(html: &mut Html<'_>, account: &Account<'_>, index: usize, told: &Told<'_>) {
    let of = |name: &str| format!("/findings/{index}/{name}");
    html.raw("<article class=\"card\">\n");
    html.element("h3", &format!("{}: {}", told.first.kind.state(), words::who(told)));
    html.element("code", told.first.kind.name());
    html.raw("\n");
    html.raw("<dl class=\"facts\">\n");
    fact(html, "stuck at the end", |html| html.count("dd", &of("count"), told.group.now()));
    fact(html, "found", |html| html.count("dd", &of("found"), told.group.found));
    fact(html, "over", |html| html.count("dd", &of("resolved"), told.group.resolved));
    fact(html, "since", |html| html.element("dd", &words::since(account, told)));
    fact(html, "newest", |html| {
        let newest = told.newest().map(|newest| words::short_time(account, &newest));
        html.element("dd", newest.as_deref().unwrap_or("–"));
    });
    fact(html, "more per minute", |html| {
        // As JSON has it: 2.0 for 2.
        let more = told.per_minute.map(Shortest);
        html.known("dd", &of("growth_per_minute"), more, |more| more.to_string());
    });
    fact(html, "oldest", |html| {
        let shown = Known(told.oldest).to_string();
        html.known("dd", &of("oldest_ns"), told.oldest.ns(), |_| shown.clone());
    });
    html.raw("</dl>\n");
    match &told.first.pressure {
        Some(pressure) => html.element("p", &table::ports(pressure)),
        None => examples(html, &told.group.told.news),
    }
    advice(html, told.first);
    html.raw("</article>\n");
}

/// A number with a point, as in JSON.
#[derive(Clone, Copy)]
struct Shortest(f64);

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn fact(html: &mut Html<'_>, name: &str, value: impl FnOnce(&mut Html<'_>)) {
    html.raw("<div>");
    html.element("dt", name);
    value(html);
    html.raw("</div>\n");
}

fn examples(html: &mut Html<'_>, findings: &[Finding]) {
    html.table(
        "stack",
        "Those found first",
        &["#Age when told", "Connection", "Held by", "Other end"],
    );
    for finding in findings {
        html.raw("<tr>");
        html.element(
            "td class=\"n\" data-label=\"Age when told\"",
            &Known(finding.age).to_string(),
        );
        let ends = format!("{} → {}", End(&finding.tuple.local), End(&finding.tuple.remote));
        html.element("td data-label=\"Connection\"", &ends);
        let holder = people::holder(finding.held_by, &people::owners(&finding.owners));
        let closer = finding.closed_by.filter(|_| finding.held_by == HeldBy::Nobody);
        let closer = closer.map(|by| format!(", closed by {}", people::process(&by)));
        html.element(
            "td class=\"wide\" data-label=\"Held by\"",
            &(holder + closer.as_deref().unwrap_or_default()),
        );
        let peer = finding.peer.as_ref().map_or("not on this host".to_owned(), people::peer);
        html.element("td class=\"wide\" data-label=\"Other end\"", &peer);
        html.raw("</tr>\n");
    }
    html.end_table();
}

fn advice(html: &mut Html<'_>, finding: &Finding) {
    let advice = &finding.advice;
    html.raw("<dl class=\"advice\">\n");
    for owner in finding.owners.iter().take(3) {
        let details = owner.details.as_deref();
        if let Some(command) = details.and_then(ProcessDetails::command) {
            html.element("dt", "Holder");
            html.raw("<dd><code>");
            html.text(&command);
            html.raw("</code>");
            if let Some(container) = details.and_then(ProcessDetails::container) {
                html.text(&format!(" in container {}", container.get(..12).unwrap_or(container)));
            }
            html.raw("</dd>\n");
        }
    }
    html.element("dt", "Cause");
    html.element("dd", &advice.cause);
    html.element("dt", "Remedy");
    html.raw("<dd><ul>\n");
    advice.remedy.iter().for_each(|remedy| html.element("li", remedy));
    html.raw("</ul></dd>\n");
    html.element("dt", "No help");
    html.element("dd", &advice.useless);
    if !advice.sysctls.is_empty() {
        let settings = advice.sysctls.iter();
        let settings: Vec<String> =
            settings.map(|(sysctl, value)| format!("{} = {value}", sysctl.name())).collect();
        html.element("dt", "Settings");
        html.raw("<dd><code>");
        html.text(&printable_text(&settings.join(", ")));
        html.raw("</code></dd>\n");
    }
    html.raw("</dl>\n");
}
