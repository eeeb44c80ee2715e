//! Kernel settings, as read in one network namespace at one moment.

use std::{collections::BTreeMap, ops::RangeInclusive};

macro_rules! sysctls {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A kernel setting that findings and explanations rest on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Sysctl { $($(#[$doc])* $variant,)* }

        impl Sysctl {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, as sysctl(8) knows it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

sysctls! {
    /// Longest accept queue that `listen()` may ask for.
    Somaxconn = "net.core.somaxconn";
    /// Local ports that `connect()` chooses from: first and last.
    IpLocalPortRange = "net.ipv4.ip_local_port_range";
    /// Local ports taken out of that range: numbers and ranges with commas between.
    IpLocalReservedPorts = "net.ipv4.ip_local_reserved_ports";
    /// 1: reset a connection that finds the accept queue full, instead of letting it try again.
    TcpAbortOnOverflow = "net.ipv4.tcp_abort_on_overflow";
    /// How long an orphan stays in FIN_WAIT2, seconds, with an odd arithmetic above 60.
    TcpFinTimeout = "net.ipv4.tcp_fin_timeout";
    /// Seconds between keepalive probes.
    TcpKeepaliveIntvl = "net.ipv4.tcp_keepalive_intvl";
    /// Unanswered keepalive probes that end a connection.
    TcpKeepaliveProbes = "net.ipv4.tcp_keepalive_probes";
    /// Idle seconds before the first keepalive probe, with `SO_KEEPALIVE` only.
    TcpKeepaliveTime = "net.ipv4.tcp_keepalive_time";
    /// Orphans on the whole machine above which they are reset.
    TcpMaxOrphans = "net.ipv4.tcp_max_orphans";
    /// Half-open requests of a listener.
    TcpMaxSynBacklog = "net.ipv4.tcp_max_syn_backlog";
    /// Minisocks above which new ones are dropped at once.
    TcpMaxTwBuckets = "net.ipv4.tcp_max_tw_buckets";
    /// Retransmissions for an orphan; 0 means 8.
    TcpOrphanRetries = "net.ipv4.tcp_orphan_retries";
    /// Retransmissions before a connection in use is given up.
    TcpRetries2 = "net.ipv4.tcp_retries2";
    /// SYN-ACKs sent again before a half-open request is given up.
    TcpSynackRetries = "net.ipv4.tcp_synack_retries";
    /// 1: answer a flood of SYNs without keeping them.
    TcpSyncookies = "net.ipv4.tcp_syncookies";
    /// SYNs sent again before `connect()` fails.
    TcpSynRetries = "net.ipv4.tcp_syn_retries";
    /// 0: no timestamps, and so no reuse of TIME_WAIT.
    TcpTimestamps = "net.ipv4.tcp_timestamps";
    /// Whether `connect()` may take a port in TIME_WAIT: 0 no, 1 yes, 2 on loopback.
    TcpTwReuse = "net.ipv4.tcp_tw_reuse";
}

impl Sysctl {
    /// The setting of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|sysctl| sysctl.name() == name)
    }
}

/// The settings of one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sysctls {
    /// Inode number of the namespace.
    pub netns: u32,
    values: BTreeMap<Sysctl, String>,
}

impl Sysctls {
    /// The values of a namespace, as /proc/sys shows them.
    #[must_use]
    pub fn new(netns: u32, values: impl IntoIterator<Item = (Sysctl, String)>) -> Self {
        // Two numbers stand with a tab between, which a line of text should not have.
        let tidy = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let values = values.into_iter().map(|(sysctl, text)| (sysctl, tidy(text))).collect();
        Self { netns, values }
    }

    /// The value as text, words with single spaces between; `None` if this kernel does not tell.
    #[must_use]
    pub fn text(&self, sysctl: Sysctl) -> Option<&str> {
        self.values.get(&sysctl).map(String::as_str)
    }

    /// The value, if it is one number.
    #[must_use]
    pub fn number(&self, sysctl: Sysctl) -> Option<i64> {
        self.text(sysctl)?.parse().ok()
    }

    /// The local ports that `connect()` chooses from.
    #[must_use]
    pub fn local_ports(&self) -> Option<RangeInclusive<u16>> {
        let (first, last) = self.text(Sysctl::IpLocalPortRange)?.split_once(' ')?;
        Some(first.parse().ok()?..=last.parse().ok()?)
    }

    /// How many ports there are to choose from, without the reserved ones.
    #[must_use]
    pub fn local_port_count(&self) -> Option<u32> {
        let ports = self.local_ports()?;
        let reserved = self.text(Sysctl::IpLocalReservedPorts).unwrap_or_default();
        let taken: usize = reserved
            .split(',')
            .filter_map(|entry| {
                let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
                let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
                Some((first.max(*ports.start())..=last.min(*ports.end())).count())
            })
            .sum();
        u32::try_from(ports.count().saturating_sub(taken)).ok()
    }

    /// All values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (Sysctl, &str)> {
        self.values.iter().map(|(sysctl, text)| (*sysctl, text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Sysctl, Sysctls};

    #[test]
    fn names_lead_back_to_their_setting() {
        for &sysctl in Sysctl::ALL {
            assert_eq!(Sysctl::from_name(sysctl.name()), Some(sysctl));
        }
        assert_eq!(Sysctl::from_name("net.ipv4.ip_forward"), None);
    }

    #[test]
    fn ports_to_choose_from_are_counted_without_the_reserved_ones() {
        let count = |range: &str, reserved: &str| {
            let values = [
                (Sysctl::IpLocalPortRange, range.to_owned()),
                (Sysctl::IpLocalReservedPorts, reserved.to_owned()),
            ];
            Sysctls::new(1, values).local_port_count()
        };
        assert_eq!(count("32768\t60999\n", "\n"), Some(28_232));
        assert_eq!(count("40000 40099", "40010,40020-40029,50000,1-40000"), Some(88));
        assert_eq!(count("40000", ""), None);
        assert_eq!(count("9 1", ""), Some(0));
    }

    #[test]
    fn a_value_that_is_no_number_is_no_number() {
        let values = [(Sysctl::TcpFinTimeout, "60\n".to_owned()), (Sysctl::TcpTwReuse, "x".into())];
        let sysctls = Sysctls::new(1, values);
        assert_eq!(sysctls.number(Sysctl::TcpFinTimeout), Some(60));
        assert_eq!(sysctls.number(Sysctl::TcpTwReuse), None);
        assert_eq!(sysctls.number(Sysctl::Somaxconn), None);
    }
}
