//! Dropping early what no connection filter can want.
//!
//! A filter selects connections, so an event is dropped only if no later event of its connection
//! can make it match: ports that are not known yet never decide.

use tcptrace_common::{symbols::PORT_BITMAP_BYTES, tcp_state::TcpState};

use crate::fields::{Constant, constant, setting};

const AF_INET: u16 = 2;

#[unsafe(no_mangle)]
static LOCAL_PORTS: Constant<[u8; PORT_BITMAP_BYTES]> = Constant([0; PORT_BITMAP_BYTES]);
#[unsafe(no_mangle)]
static REMOTE_PORTS: Constant<[u8; PORT_BITMAP_BYTES]> = Constant([0; PORT_BITMAP_BYTES]);

#[inline(always)]
fn contains(bitmap: &'static Constant<[u8; PORT_BITMAP_BYTES]>, port: u16) -> bool {
    // A u16 shifted right by three is below the length of the bitmap, so no panic is compiled in.
    constant(&bitmap.0[usize::from(port >> 3)]) & (1 << (port & 7)) != 0
}

/// Whether the ports leave the connection in the running.
#[inline(always)]
pub(crate) fn wants_ports(new: u8, lport: u16, rport: u16) -> bool {
    // At SYN_SENT the local port may be missing or stale (tcp_v4_connect sets the state before it
    // chooses the port, 5.10 to 7.2).
    if setting!(local_ports) != 0
        && new != TcpState::SynSent.number()
        && lport != 0
        && !contains(&LOCAL_PORTS, lport)
    {
        return false;
    }
    setting!(remote_ports) == 0 || rport == 0 || contains(&REMOTE_PORTS, rport)
}

/// Whether the family leaves the connection in the running. `raddr` is the IPv6 remote address as
/// two words in memory order; mapped addresses count as IPv4, and an unspecified one does not decide.
#[inline(always)]
pub(crate) fn wants_family(family: u16, raddr: [u64; 2]) -> bool {
    const MAPPED_WORD: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    let wanted = setting!(family);
    if wanted == 0 {
        return true;
    }
    if family == AF_INET {
        return wanted == 4;
    }
    let unspecified = raddr[0] == 0 && raddr[1] == 0;
    let mapped = raddr[0] == 0 && raddr[1] as u32 == MAPPED_WORD;
    unspecified || (mapped == (wanted == 4))
}
