//! Any bytes as a datagram of a socket dump: no more sockets than fit into it, none from the future.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcptrace::{kernel::fuzzing, time::Timestamp};

/// A header, and a `struct inet_diag_msg`.
const SHORTEST: usize = 16 + 72;
const AT: Timestamp = Timestamp(1 << 40);

fuzz_target!(|bytes: &[u8]| {
    let Ok((sockets, is_last)) = fuzzing::dumped(bytes, AT) else {
        return;
    };
    assert!(sockets.len() * SHORTEST <= bytes.len(), "more than there is");
    assert!(!is_last || bytes.len() >= 16);
    for socket in sockets {
        assert!([socket.cookie, socket.inode.map(u64::from)].iter().all(|&id| id != Some(0)));
        for stamp in [socket.last_ack, socket.last_data, socket.last_sent] {
            assert!(stamp.is_none_or(|stamp| stamp <= AT), "it is yet to come");
        }
        assert!(socket.timer.is_none_or(|timer| timer.expires >= AT));
    }
});
