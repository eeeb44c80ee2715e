//! The kernel's settings: what each one really does, and its value on this machine.

use std::fmt;

use bytes::BytesMut;

use crate::{
    event::{Sysctl, Sysctls},
    output::{row::Row, table::color},
};

/// The part of `tcp_fin_timeout` that an orphan spends as a minisock, seconds (`TCP_TIMEWAIT_LEN`).
const MINISOCK_LIMIT: i64 = 60;

/// Columns of a name and of a value.
const NAME: usize = 32;
const VALUE: usize = 12;

/// A setting's default in the kernel, and what it does in one line.
struct Truth {
    default: &'static str,
    effect: &'static str,
}

fn truth(sysctl: Sysctl) -> Truth {
    let (default, effect) = match sysctl {
        Sysctl::Somaxconn => {
            ("4096", "Upper limit for the backlog of listen(); 128 before Linux 5.4.")
        }
        Sysctl::IpLocalPortRange => {
            ("32768 60999", "Local ports for connect(): so many at a time to one destination.")
        }
        Sysctl::IpLocalReservedPorts => {
            ("(none)", "Ports of that range which connect() leaves alone.")
        }
        Sysctl::TcpAbortOnOverflow => {
            ("0", "1 resets clients when the accept queue is full. It cures nothing.")
        }
        Sysctl::TcpFinTimeout => {
            ("60", "Seconds of an orphan in FIN_WAIT2, nothing else. Above 60: odd.")
        }
        Sysctl::TcpKeepaliveIntvl => ("75", "Seconds between two keepalive probes."),
        Sysctl::TcpKeepaliveProbes => ("9", "Probes without an answer that end a connection."),
        Sysctl::TcpKeepaliveTime => {
            ("7200", "Idle seconds before the first probe. Only with SO_KEEPALIVE.")
        }
        Sysctl::TcpMaxOrphans => {
            ("by memory", "Orphans on the whole machine; one too many is reset. No minisocks.")
        }
        Sysctl::TcpMaxSynBacklog => ("by memory", "Half-open requests that a listener remembers."),
        Sysctl::TcpMaxTwBuckets => {
            ("by memory", "Minisocks. What is too much is dropped at once; lowering is no cure.")
        }
        Sysctl::TcpOrphanRetries => {
            ("0", "Retransmissions for an orphan without an answer. 0 means 8: 107 s.")
        }
        Sysctl::TcpRetries2 => {
            ("15", "Retransmissions for a socket in use. 15 take 924 s or more.")
        }
        Sysctl::TcpSynackRetries => {
            ("5", "SYN+ACKs sent again for a half-open request. 5 take 63 s.")
        }
        Sysctl::TcpSyncookies => ("1", "1 answers a flood of SYNs without remembering them."),
        Sysctl::TcpSynRetries => {
            ("6", "SYNs sent again before connect() fails. 6 take 127 to 134 s.")
        }
        Sysctl::TcpTimestamps => {
            ("1", "0 means no timestamps, and then tcp_tw_reuse has no effect.")
        }
        Sysctl::TcpTwReuse => {
            ("2", "connect() may take over a TIME_WAIT: 0 never, 1 yes, 2 on loopback.")
        }
    };
    Truth { default, effect }
}

/// Writes a table of these settings.
pub(super) fn table(out: &mut BytesMut, color: bool, values: &Sysctls, settings: &[Sysctl]) {
    let mut row = Row::new(out);
    indent(&mut row);
    for (name, width) in [("SETTING", NAME), ("HERE", VALUE), ("DEFAULT", VALUE)] {
        row.painted(color::of_head(color), name);
        row.left(width);
    }
    row.end();
    for &sysctl in settings {
        let Truth { default, effect } = truth(sysctl);
        let value = match values.text(sysctl) {
            None => "-",
            Some("") => "(none)",
            Some(value) => value,
        };
        let mut row = Row::new(out);
        indent(&mut row);
        row.text(sysctl.name());
        row.left(NAME);
        // A list of ports can be long.
        if value.chars().count() > VALUE {
            row.show(format_args!("{value:.*}+", VALUE - 1));
        } else {
            row.text(value);
        }
        row.left(VALUE);
        row.text(default);
        row.end();
        let mut row = Row::new(out);
        indent(&mut row);
        indent(&mut row);
        row.text(effect);
        row.end();
    }
}

fn indent(row: &mut Row) {
    row.text(" ");
    row.left(1);
}

/// What a word in braces stands for: something that follows from the settings of this machine, `-`
/// if they could not be read. `None` if there is no such word.
pub(super) fn derived(name: &str, values: &Sysctls) -> Option<String> {
    let number = |sysctl| values.number(sysctl);
    let text = match name {
        "orphan lifetime" => known(number(Sysctl::TcpFinTimeout).map(orphan_lifetime), " s"),
        "keepalive total" => {
            let probing = number(Sysctl::TcpKeepaliveProbes)
                .zip(number(Sysctl::TcpKeepaliveIntvl))
                .and_then(|(probes, interval)| probes.checked_mul(interval));
            let total = number(Sysctl::TcpKeepaliveTime)
                .zip(probing)
                .and_then(|(idle, probing)| idle.checked_add(probing));
            known(total, " s")
        }
        "local ports" => known(values.local_port_count(), ""),
        _ => return None,
    };
    Some(text)
}

/// Seconds that an orphan stays in FIN_WAIT2: a value above 60 makes the kernel wait twice for what
/// it exceeds 60 by (`__tcp_close` and `tcp_keepalive_timer`, 5.10 to 7.2).
fn orphan_lifetime(fin_timeout: i64) -> i64 {
    if fin_timeout <= MINISOCK_LIMIT {
        fin_timeout
    } else {
        (fin_timeout - MINISOCK_LIMIT).saturating_mul(2)
    }
}

fn known(value: Option<impl fmt::Display>, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::{Sysctl, Sysctls, derived, orphan_lifetime};

    #[test]
    fn an_orphan_lasts_as_long_as_it_was_measured_to() {
        let lifetimes = [1, 2, 30, 60, 61, 90, 100, 120, 180].map(orphan_lifetime);
        assert_eq!(lifetimes, [1, 2, 30, 60, 2, 60, 80, 120, 240]);
        assert_eq!(orphan_lifetime(i64::MAX), i64::MAX);
    }

    #[test]
    fn what_follows_from_unknown_settings_is_unknown() {
        let none = Sysctls::default();
        for name in ["orphan lifetime", "keepalive total", "local ports"] {
            assert_eq!(derived(name, &none).as_deref(), Some("-"), "{name}");
        }
        assert_eq!(derived("weather", &none), None);
    }

    #[test]
    fn what_follows_from_settings_is_computed() {
        let values = [
            (Sysctl::TcpKeepaliveTime, "7200"),
            (Sysctl::TcpKeepaliveProbes, "9"),
            (Sysctl::TcpKeepaliveIntvl, "75"),
            (Sysctl::IpLocalPortRange, "32768\t60999"),
        ];
        let values = Sysctls::new(1, values.map(|(sysctl, text)| (sysctl, text.to_owned())));
        assert_eq!(derived("keepalive total", &values).as_deref(), Some("7875 s"));
        assert_eq!(derived("local ports", &values).as_deref(), Some("28232"));
    }
}
