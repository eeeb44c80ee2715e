//! What text and page say in the same words.

use super::{Account, stuck::Told};
use crate::{
    event::Endpoint,
    model::{
        change::Role,
        findings::finding::Service,
        report::{Origin, ServicePort, tally::Shares},
        since::Since,
        span::Moment,
        summary::Losses,
    },
    output::{addresses::End, people},
};

/// `webserver(3798) on port 8080`: who is to be asked about a group, and about what.
pub(super) fn who(told: &Told<'_>) -> String {
    let who = match told.process() {
        Some(process) => people::process(&process),
        None => people::holder(told.first.held_by, ""),
    };
    match told.group.told.service {
        Service::Local(port) => format!("{who} on port {port}"),
        Service::Remote(addr, port) => format!("{who} to {}", End(&Endpoint { addr, port })),
    }
}

/// `37 found, 1 over`.
pub(super) fn found(told: &Told<'_>) -> String {
    let found = told.group.found;
    match told.group.resolved {
        0 => format!("{found} found, none over"),
        over if over == found => format!("{found} found, all over"),
        over => format!("{found} found, {over} over"),
    }
}

/// `10:31:03`, with the date if that is not the one on which the trace began. `<=` is that it was so
/// then and perhaps before, `~` told from a timer, `-` not known.
pub(super) fn since(account: &Account<'_>, told: &Told<'_>) -> String {
    let Some(moment) = told.since() else {
        return "-".to_owned();
    };
    let mark = match told.group.since {
        Since::AtLeast(_) => "<=",
        Since::Estimated(_) => "~",
        Since::Exact(_) | Since::Unknown => "",
    };
    format!("{mark}{}", short_time(account, &moment))
}

/// The time, with the date if that is not the one on which the trace began.
pub(super) fn short_time(account: &Account<'_>, moment: &Moment) -> String {
    let whole = account.times.date_and_time(moment);
    let first = account.span().first.map(|first| account.times.date_and_time(&first));
    let (date, time) = whole.split_once(' ').unwrap_or_default();
    let same_day = first.is_some_and(|first| first.starts_with(date));
    if same_day { time.to_owned() } else { whole }
}

/// `+9.6`: how many more per minute.
pub(super) fn growth(told: &Told<'_>) -> String {
    match told.per_minute {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(more) => format!("{more:+}"),
    }
}

/// `web-1, Linux 6.12.9`.
pub(super) fn machine(account: &Account<'_>) -> String {
    let Origin { host, kernel } = &account.report.origin;
    let host = if host.is_empty() { "host not known" } else { host };
    match kernel.as_str() {
        "" => format!("{host}, kernel not known"),
        kernel => format!("{host}, Linux {kernel}"),
    }
}

/// `2026-11-20 10:31:00 to 10:36:00 +01:00`.
pub(super) fn from_to(account: &Account<'_>) -> String {
    match (account.span().first, account.span().last) {
        (Some(first), Some(last)) => format!(
            "{} to {} {}",
            account.times.date_and_time(&first),
            short_time(account, &last),
            account.times.offset(&last)
        ),
        _ => "no event has a time".to_owned(),
    }
}

/// Losses and what they cost, by why; none of them leaves it empty.
pub(super) fn losses(account: &Account<'_>) -> Vec<String> {
    let summary = account.summary;
    let Losses { ring_full, recursion, undecodable, recorder_behind } = summary.lost;
    let told = [
        (ring_full, "lost because the ring buffer was full"),
        (recursion, "lost to recursion"),
        (undecodable, "undecodable"),
        (recorder_behind, "lost because the recorder was behind"),
        (summary.uncertain, "uncertain for what was missed"),
        (summary.evicted, "forgotten for lack of room"),
        (account.report.findings.others(), "findings for which there was no room"),
    ];
    let told = told.iter().filter(|(count, _)| *count > 0);
    let mut told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
    if account.incomplete {
        told.push("not all existing sockets and holders could be looked at".to_owned());
    }
    told
}

/// `to port 443` or `on port 8080`.
pub(super) fn service_port(service: &ServicePort) -> String {
    match service.role {
        Role::Active => format!("to port {}", service.port),
        Role::Passive => format!("on port {}", service.port),
    }
}

/// What a table of the most frequent leaves out, if anything.
pub(super) fn left_out<K>(shares: &Shares<K>, of_unknown: &str) -> Vec<(u64, String)> {
    let others = if shares.at_least {
        "others (the table was full: the counts of the named are lower bounds)"
    } else {
        "others"
    };
    [(shares.others, others.to_owned()), (shares.unknown, of_unknown.to_owned())]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .collect()
}
