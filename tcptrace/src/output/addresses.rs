//! The ends of connections, as tables and fields show them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tcptrace_common::tcp_state::TcpState;

use crate::event::{Endpoint, Socket, Tuple};

/// `10.0.0.9:443` or `[2001:db8::1]:443`, with `-` for what is not known.
pub(super) struct End<'a>(pub(super) &'a Endpoint);

impl End<'_> {
    /// As [`fmt::Display`] shows it; without its machinery, as every line has two.
    pub(super) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut buffer = itoa::Buffer::new();
        let port = self.0.port.map_or("-", |port| buffer.format(port));
        match self.0.addr {
            Some(IpAddr::V6(addr)) => write!(out, "[{addr}]")?,
            Some(IpAddr::V4(addr)) => ipv4(out, addr)?,
            None if self.0.port.is_none() => return out.write_str("-"),
            None => out.write_str("-")?,
        }
        out.write_str(":")?;
        out.write_str(port)
    }
}

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

fn ipv4(out: &mut impl fmt::Write, addr: Ipv4Addr) -> fmt::Result {
    let mut text = [b'.'; 15];
    let mut length = 0;
    for octet in addr.octets() {
        for (unit, is_shown) in [(100, octet >= 100), (10, octet >= 10), (1, true)] {
            if is_shown {
                text[length] = b'0' + octet / unit % 10;
                length += 1;
            }
        }
        length += 1;
    }
    out.write_str(str::from_utf8(&text[..length - 1]).unwrap_or_default())
}

/// The family of the addresses; not known for an IPv6 socket without any, which may yet turn out
/// to be v4-mapped.
pub(super) fn family(tuple: &Tuple) -> Option<&'static str> {
    if !tuple.ipv6 || tuple.v4mapped {
        return Some("ipv4");
    }
    tuple.local.addr.or(tuple.remote.addr).map(|_| "ipv6")
}

/// The field `v4mapped`: in JSON it is there only if true, but in CSV every line has all columns.
pub(super) fn v4mapped(tuple: &Tuple, csv: bool) -> Option<bool> {
    (csv || tuple.v4mapped).then_some(tuple.v4mapped)
}

/// The local address of a listed socket. A listener that is bound to none is known to take any.
pub(super) fn local_of_listed(socket: &Socket) -> Option<IpAddr> {
    let any = || match socket.state {
        TcpState::Listen if socket.tuple.ipv6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        TcpState::Listen => Some(Ipv4Addr::UNSPECIFIED.into()),
        _ => None,
    };
    socket.tuple.local.addr.or_else(any)
}

#[cfg(test)]
mod tests {
    use super::{End, Endpoint, Tuple, family};

    #[test]
    fn ends_show_what_is_known_of_them() {
        for (addr, port, text) in [
            (Some("10.0.0.9"), Some(443), "10.0.0.9:443"),
            (Some("2001:db8::1"), Some(443), "[2001:db8::1]:443"),
            (Some("10.0.0.9"), None, "10.0.0.9:-"),
            (None, Some(443), "-:443"),
            (None, None, "-"),
        ] {
            let addr = addr.map(|addr| addr.parse().expect("an address"));
            assert_eq!(End(&Endpoint { addr, port }).to_string(), text);
        }
    }

    #[test]
    fn the_family_of_an_ipv6_socket_is_known_with_its_addresses() {
        let mut tuple = Tuple::default();
        assert_eq!(family(&tuple), Some("ipv4"));
        tuple.ipv6 = true;
        assert_eq!(family(&tuple), None);
        tuple.remote.addr = "2001:db8::1".parse().ok();
        assert_eq!(family(&tuple), Some("ipv6"));
        tuple.v4mapped = true;
        assert_eq!(family(&tuple), Some("ipv4"));
    }
}
