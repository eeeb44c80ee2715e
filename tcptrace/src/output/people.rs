//! Processes as text: who holds what.

use super::escape;
use crate::{
    event::Process,
    model::findings::finding::{FindingOwner, HeldBy, Peer},
};

/// `nginx(812)`.
pub(super) fn process(process: &Process) -> String {
    format!("{}({})", escape::printable(&process.comm), process.pid)
}

/// `nginx(812) fd 9,10, nginx(813) fd 9`; empty if there is none.
pub(super) fn owners(owners: &[FindingOwner]) -> String {
    let owners = owners.iter().map(|owner| format!("{} {}", process(&owner.process), fds(owner)));
    owners.collect::<Vec<_>>().join(", ")
}

/// `fd 9,10`.
pub(super) fn fds(owner: &FindingOwner) -> String {
    let fds: Vec<String> = owner.fds.iter().map(u32::to_string).collect();
    format!("fd {}", fds.join(","))
}

/// `FIN_WAIT2, shop(3605) fd 3`: the other end and who holds it.
pub(super) fn peer(peer: &Peer) -> String {
    format!("{}, {}", peer.state, holder(peer.held_by, &owners(&peer.owners)))
}

/// In whose hands a socket is; `owners` are the processes, as text.
pub(super) fn holder(held_by: HeldBy, owners: &str) -> String {
    match held_by {
        HeldBy::Processes => owners.to_owned(),
        HeldBy::Unseen => "holder not visible".to_owned(),
        HeldBy::Kernel => "kernel".to_owned(),
        HeldBy::AcceptQueue if owners.is_empty() => "accept queue".to_owned(),
        HeldBy::AcceptQueue => format!("accept queue of {owners}"),
        HeldBy::Nobody => "orphan".to_owned(),
    }
}
