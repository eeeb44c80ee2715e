//! Which strings stand in JSON as they are: nearly all.

/// Whether all bytes are printable ASCII and none needs escaping; eight are looked at at once, the last
/// ones perhaps twice.
#[inline]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk() {
        let (eights, _) = bytes.as_chunks();
        return eights.iter().all(|eight| are_plain(*eight)) && are_plain(*last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let both = u64::from(u32::from_le_bytes(*first)) << 32;
        return are_plain((both | u64::from(u32::from_le_bytes(*last))).to_le_bytes());
    }
    bytes.iter().all(|byte| are_plain([*byte; 8]))
}

/// Of what is sought, the highest bit of a byte tells (Bit Twiddling Hacks, "determine if a word has a
/// byte less than n"); a byte after one that is not plain may be taken for another.
#[inline]
fn are_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x80 * ONES;
    let bytes = u64::from_le_bytes(bytes);
    let has_below = |bytes: u64, limit: u64| bytes.wrapping_sub(limit * ONES) & !bytes;
    let has = |byte: u64| has_below(bytes ^ (byte * ONES), 1);
    let control = has_below(bytes, 0x20) | bytes.wrapping_add(ONES);
    (bytes | control | has(b'"'.into()) | has(b'\\'.into())) & HIGHEST == 0
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn one_byte_is_enough_wherever_it_is() {
        for length in 0..40 {
            let plain = vec![b'~'; length];
            assert!(is_plain(&plain), "{length}");
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = plain.clone();
                    bytes[place] = byte;
                    let expected = (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
                    assert_eq!(is_plain(&bytes), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }
}
