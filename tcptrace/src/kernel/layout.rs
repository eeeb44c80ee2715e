//! Field offsets of the running kernel, for the programs.

use anyhow::{Context as _, Result, bail};
use tcptrace_common::layout::{ABSENT, FIELDS, Layout};

use super::btf::{Btf, FieldOffset};

/// Fields that a newer kernel keeps in another structure: their names in [`Layout`], and where they are
/// looked for first. In 7.2 the retransmit timer lies where the keepalive timer was, which must
/// not be taken for that. A socket begins with all of these structures.
const MOVED: [(&str, &str, &str); 3] = [
    ("timer_expires", "inet_connection_sock", "icsk_keepalive_timer.expires"),
    ("timer_armed", "inet_connection_sock", "icsk_keepalive_timer.entry.pprev"),
    ("retransmit_expires", "sock", "tcp_retransmit_timer.expires"),
];

/// Looks every field of [`FIELDS`] up.
///
/// # Errors
/// If the kernel lacks a field without which the fast path cannot work.
pub(super) fn resolve(btf: &Btf) -> Result<Layout> {
    let mut offsets = Vec::with_capacity(FIELDS.len());
    // The structures are named one after the other, and each is looked up once.
    let mut structure = ("", None);
    for field in FIELDS {
        if structure.0 != field.structure {
            structure = (field.structure, btf.structure(field.structure));
        }
        let moved = MOVED.iter().find(|(name, ..)| *name == field.name);
        let offset = moved
            .and_then(|(_, structure, path)| btf.field(structure, path))
            .or_else(|| structure.1.and_then(|structure| btf.field_of(structure, field.path)));
        match offset.and_then(byte_offset) {
            Some(offset) => offsets.push(offset),
            None if field.required => {
                bail!("this kernel's BTF has no {}.{}", field.structure, field.path);
            }
            None => {
                log::debug!("this kernel has no {}.{}", field.structure, field.path);
                offsets.push(ABSENT);
            }
        }
    }
    bytemuck::try_pod_read_unaligned(bytemuck::cast_slice(&offsets))
        .ok()
        .context("the field table and the layout disagree")
}

/// The bit of the one-bit field `path` within its byte, 0 if there is no such field.
pub(super) fn bit_mask(btf: &Btf, structure: &str, path: &str) -> u8 {
    match btf.field(structure, path) {
        Some(FieldOffset { bits, bitfield_size: 1 }) => 1 << (bits % 8),
        // A plain bool or byte.
        Some(FieldOffset { bitfield_size: 0, .. }) => 1,
        _ => 0,
    }
}

fn byte_offset(field: FieldOffset) -> Option<u16> {
    u16::try_from(field.bits / 8).ok().filter(|&offset| offset != ABSENT)
}

#[cfg(test)]
mod tests {
    use super::{Btf, FIELDS, MOVED, resolve};

    #[test]
    fn what_has_moved_is_in_the_layout() {
        for (name, ..) in MOVED {
            assert!(FIELDS.iter().any(|field| field.name == name), "{name}");
        }
    }

    #[test]
    fn a_required_field_that_is_missing_is_named() {
        let mut empty = 0xeb9f_u16.to_ne_bytes().to_vec();
        empty.extend([1, 0]);
        for word in [24_u32, 0, 0, 0, 1] {
            empty.extend(word.to_ne_bytes());
        }
        empty.push(0);
        let error = resolve(&Btf::parse(empty).expect("valid, though empty")).expect_err("empty");
        assert_eq!(error.to_string(), "this kernel's BTF has no sock_common.skc_daddr");
    }
}
