//! BTF with little in it.

use super::{Btf, KIND_FUNC, KIND_TYPEDEF, MAGIC, Named, prototypes::tracepoint_type};

/// Length of the header in version 1.
const HEADER_LENGTH: u32 = 24;

impl Btf {
    /// BTF of these tracepoints and functions and nothing else, as far as the kernel has them, each under
    /// the number that it has in the kernel.
    #[must_use]
    pub fn only(&self, tracepoints: &[&str], functions: &[&str]) -> Vec<u8> {
        // What is not filled is a type of no kind, as long as these are.
        let mut types: Vec<[u32; 3]> = Vec::new();
        let mut strings = vec![0];
        let mut add = |kind: u32, among: &[Named], name: &str| {
            let Some(id) = self.find(among, name) else { return };
            types.resize(types.len().max(id as usize), [0; 3]);
            types[id as usize - 1] = [length(&strings), kind << 24, 0];
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        };
        for name in tracepoints {
            add(KIND_TYPEDEF, &self.typedefs, &tracepoint_type(name));
        }
        for name in functions {
            add(KIND_FUNC, &self.functions, name);
        }
        let types: &[u8] = bytemuck::cast_slice(&types);
        let [low, high] = MAGIC.to_ne_bytes();
        let version = u32::from_ne_bytes([low, high, 1, 0]);
        let header = [version, HEADER_LENGTH, 0, length(types), length(types), length(&strings)];
        [bytemuck::cast_slice(&header), types, &strings].concat()
    }
}

/// What is made of parsed BTF is no longer than that, the lengths of which have 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn length(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}
