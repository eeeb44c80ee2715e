//! Options that say which connections to show.

use std::collections::BTreeMap;

use clap::Args;
use ipnet::IpNet;
use tcptrace_common::tcp_state::TcpState;

use super::values::{self, List, NetnsSelector};
use crate::{
    event::Comm,
    model::filter::{Family, Filter},
};

/// Which connections to show. A connection that matches at any time shows all its transitions.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which connections")]
pub struct FilterArgs {
    /// IPv4 only, v4-mapped included.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only.
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// With one of these local ports, like 80,443.
    #[arg(short = 'L', long, value_name = "LIST", value_parser = values::ports)]
    #[arg(allow_negative_numbers = true)]
    pub localport: Option<List<u16>>,
    /// With one of these remote ports.
    #[arg(short = 'D', long, value_name = "LIST", value_parser = values::ports)]
    #[arg(allow_negative_numbers = true)]
    pub remoteport: Option<List<u16>>,
    /// Owned by one of these processes.
    #[arg(short, long, value_name = "LIST", value_parser = values::pids)]
    #[arg(allow_negative_numbers = true)]
    pub pid: Option<List<u32>>,
    /// Owned by a process of this name.
    #[arg(long, value_name = "NAME", value_parser = values::comm)]
    pub comm: Option<Comm>,
    /// With either end in this network, or of this address.
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    pub addr: Option<IpNet>,
    /// In one of these states, like close-wait,fin-wait-2.
    #[arg(long, value_name = "LIST", value_parser = values::states)]
    pub state: Option<List<TcpState>>,
    /// In this network namespace: inode number, path, or self.
    #[arg(long, value_name = "NETNS", value_parser = values::netns)]
    pub netns: Option<NetnsSelector>,
}

impl FilterArgs {
    /// The filter, once it is known which namespace the selector in `self.netns` means.
    #[must_use]
    pub fn filter(&self, netns: Option<u32>) -> Filter {
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        };
        Filter {
            family,
            local_ports: entries(self.localport.as_ref()),
            remote_ports: entries(self.remoteport.as_ref()),
            pids: entries(self.pid.as_ref()),
            comm: self.comm,
            network: self.addr,
            states: entries(self.state.as_ref()),
            netns,
        }
    }
}

/// The options that ask for this filter, by their long names, with their values.
#[must_use]
pub fn options(filter: &Filter) -> BTreeMap<String, String> {
    fn listed<T: ToString>(entries: &[T]) -> Option<String> {
        let entries: Vec<String> = entries.iter().map(T::to_string).collect();
        (!entries.is_empty()).then(|| entries.join(","))
    }
    let comm = filter.comm.map(|comm| String::from_utf8_lossy(comm.as_bytes()).into_owned());
    let family = |wanted| (filter.family == Some(wanted)).then(|| "true".to_owned());
    [
        ("ipv4", family(Family::V4)),
        ("ipv6", family(Family::V6)),
        ("localport", listed(&filter.local_ports)),
        ("remoteport", listed(&filter.remote_ports)),
        ("pid", listed(&filter.pids)),
        ("comm", comm),
        ("addr", filter.network.map(|network| network.to_string())),
        ("state", listed(&filter.states)),
        ("netns", filter.netns.map(|inode| inode.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

fn entries<T: Clone>(list: Option<&List<T>>) -> Vec<T> {
    list.map(|list| list.0.clone()).unwrap_or_default()
}
