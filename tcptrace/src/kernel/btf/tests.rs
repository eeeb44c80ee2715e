//! What is read of BTF.

use super::{Btf, FieldOffset};

/// struct outer { u8 a; struct { u32 b; u32 c:3; }; } with the bit-field flag set.
fn sample() -> Vec<u8> {
    let strings = b"\0outer\0a\0b\0c\0btf_trace_x\0f\0";
    let struct_info = |vlen: u32| (1 << 31) | (4 << 24) | vlen;
    let words: Vec<u32> = vec![
        0,
        1 << 24,
        4,
        32, // 1: int
        1,
        struct_info(2),
        16,
        7,
        1,
        0,
        0,
        3,
        32, // 2: outer { a: 1 @0; (anonymous): 3 @32 }
        0,
        struct_info(2),
        8,
        9,
        1,
        0,
        11,
        1,
        (3 << 24) | 32, // 3: { b @0; c:3 @32 }
        13,
        8 << 24,
        5, // 4: typedef btf_trace_x -> 5
        0,
        2 << 24,
        6, // 5: pointer -> 6
        0,
        (13 << 24) | 3,
        0,
        0,
        1,
        0,
        1,
        0,
        1, // 6: function of three
        25,
        12 << 24,
        6, // 7: f, of type 6
    ];
    bytes(&words, strings)
}

fn bytes(words: &[u32], strings: &[u8]) -> Vec<u8> {
    let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    for word in [24, 0, types.len(), types.len(), strings.len()] {
        bytes.extend(u32::try_from(word).expect("small").to_ne_bytes());
    }
    bytes.extend(types);
    bytes.extend(strings);
    bytes
}

#[test]
fn fields_are_found_through_anonymous_members() {
    let btf = Btf::parse(sample()).expect("sample is valid");
    assert_eq!(btf.field("outer", "b"), Some(FieldOffset { bits: 32, bitfield_size: 0 }));
    assert_eq!(btf.field("outer", "c"), Some(FieldOffset { bits: 64, bitfield_size: 3 }));
    assert_eq!(btf.field("outer", "d"), None);
    assert_eq!(btf.field("inner", "a"), None);
}

#[test]
fn the_private_data_does_not_count_as_an_argument() {
    let btf = Btf::parse(sample()).expect("sample is valid");
    assert_eq!(btf.tracepoint_arguments("x"), Some(2));
    assert_eq!(btf.tracepoint_arguments("y"), None);
}

#[test]
fn arguments_of_a_function_are_counted() {
    let btf = Btf::parse(sample()).expect("sample is valid");
    assert_eq!(btf.function_arguments("f"), Some(3));
    assert_eq!(btf.function_arguments("outer"), None, "no function");
    // Only the function is passed on, under its number, and without its type.
    let only = btf.only(&[], &["f", "g"]);
    let [length_of_types, seventh] = [12, 24 + 6 * 12].map(|at| &only[at..]);
    assert_eq!(length_of_types[..4], (7 * 12_u32).to_ne_bytes());
    assert_eq!(seventh[4..12], [12_u32 << 24, 0].map(u32::to_ne_bytes).concat());
    assert_eq!(only[24..24 + 6 * 12], [0; 6 * 12]);
}

#[test]
fn damaged_bytes_are_refused_or_harmless() {
    let good = sample();
    for length in 0..good.len() {
        // A shorter file is refused, or (cut inside the strings' padding) still consistent.
        drop(Btf::parse(good[..length].to_vec()));
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        if let Ok(btf) = Btf::parse(bad) {
            let _ = (btf.field("outer", "b"), btf.tracepoint_arguments("x"));
        }
    }
    assert!(Btf::parse(good[..good.len() - 30].to_vec()).is_err());
    assert!(Btf::parse(b"\x7fELF".to_vec()).is_err());
}

/// struct many { 40,000 times: x; }; struct a { so many anonymous members of that; b; }
fn of_many(anonymous: u32) -> Vec<u8> {
    let structure = |name: u32, members: u32| [name, (4 << 24) | members, 0];
    let mut words = structure(1, 40_000).to_vec();
    words.extend([6, 0, 0].repeat(40_000));
    words.extend(structure(8, anonymous + 1));
    words.extend([0, 1, 0].repeat(anonymous as usize));
    words.extend([10, 0, 0]);
    bytes(&words, b"\0many\0x\0a\0b\0")
}

#[test]
fn the_ways_through_anonymous_members_come_to_an_end() {
    let found = |anonymous| Btf::parse(of_many(anonymous)).expect("valid").field("a", "b");
    assert_eq!(found(1), Some(FieldOffset { bits: 0, bitfield_size: 0 }));
    // No kernel has so many, and where each is again full of such members it would take years.
    assert_eq!(found(2), None);
}
