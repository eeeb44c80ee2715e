//! A reader for the kernel's BTF, reduced to what the loader asks: where a field lies in a
//! structure, how many arguments a tracepoint has, and which number a type has.
//!
//! The bytes come from a file and are treated as hostile: every offset is checked, every walk is
//! bounded. (Format: Documentation/bpf/btf.rst, version 1, as of 7.2.)

mod only;
mod prototypes;

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::btf_bytes::BtfBytes;

const MAGIC: u16 = 0xeb9f;
const KIND_PTR: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
/// Anonymous structures nest a few levels; a file that goes on and on is broken.
const MAX_DEPTH: u32 = 16;
/// Members that are looked at for one; no structure of a kernel has a hundredth of that. A file in which
/// many anonymous members are of the same type has more ways through them than can be gone.
const MAX_MEMBERS: u32 = 1 << 16;

/// Parsed BTF of a kernel.
#[derive(Debug)]
pub struct Btf {
    bytes: BtfBytes,
    strings: (usize, usize),
    /// Where each type begins; type ids count from 1.
    types: Vec<u32>,
    structures: Vec<Named>,
    typedefs: Vec<Named>,
    functions: Vec<Named>,
}

/// A type with a name. There are tens of thousands, of which a few are asked for: to search them costs
/// less than to sort them.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// Where its name begins among the strings.
    name: u32,
    id: u32,
}

/// Where a field lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldOffset {
    /// Bits from the start of the structure.
    pub bits: u32,
    /// Width if it is a bit field, else 0.
    pub bitfield_size: u32,
}

#[derive(Clone, Copy)]
struct TypeHeader {
    /// Where its name begins among the strings.
    name: u32,
    /// Where the data behind the header begins.
    data: usize,
    kind: u32,
    vlen: u32,
    kflag: bool,
    /// Referenced type, or size.
    reference: u32,
}

impl Btf {
    /// Parses a BTF blob.
    ///
    /// # Errors
    /// If the bytes are not BTF of version 1 in this machine's byte order, or end too early.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        Self::of_bytes(bytes.into())
    }

    /// Parses the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or as [`Self::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            BtfBytes::of(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::of_bytes(bytes).with_context(|| format!("cannot use {}", path.display()))
    }

    fn of_bytes(bytes: BtfBytes) -> Result<Self> {
        let mut btf = Self {
            bytes,
            strings: (0, 0),
            types: Vec::new(),
            structures: Vec::new(),
            typedefs: Vec::new(),
            functions: Vec::new(),
        };
        btf.index().context("not a usable BTF file")?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<()> {
        const SHORT: &str = "it ends too early";
        let [low, high, version, _] = self.word(0).context(SHORT)?.to_ne_bytes();
        ensure!(
            u16::from_ne_bytes([low, high]) == MAGIC,
            "it does not begin with the BTF magic number"
        );
        ensure!(version == 1, "BTF version {version}, only 1 is known");
        let header = self.word(4).context(SHORT)? as usize;
        let part = |at: usize| -> Result<(usize, usize)> {
            let begin = header + self.word(at).context(SHORT)? as usize;
            let end = begin + self.word(at + 4).context(SHORT)? as usize;
            ensure!(end <= self.bytes.len(), "it ends before its last section");
            Ok((begin, end))
        };
        let (mut at, types_end) = part(8)?;
        self.strings = part(16)?;
        u32::try_from(types_end).context("too large")?;
        while at < types_end {
            let Some(header) = self.header(at) else { bail!(SHORT) };
            #[expect(clippy::cast_possible_truncation, reason = "types_end has 32 bits")]
            let (place, id) = (at as u32, self.types.len() as u32 + 1);
            let named = Named { name: header.name, id };
            match header.kind {
                KIND_STRUCT => self.structures.push(named),
                KIND_TYPEDEF => self.typedefs.push(named),
                KIND_FUNC => self.functions.push(named),
                _ => {}
            }
            self.types.push(place);
            at = header.data + data_length(&header)?;
        }
        Ok(())
    }

    /// Looks `path` (members, dots between them) up in `structure`; anonymous members are looked
    /// through, pointers are not followed.
    #[must_use]
    pub fn field(&self, structure: &str, path: &str) -> Option<FieldOffset> {
        self.field_of(self.structure(structure)?, path)
    }

    /// The number of this structure, for [`Self::field_of`].
    #[must_use]
    pub fn structure(&self, name: &str) -> Option<u32> {
        self.find(&self.structures, name)
    }

    /// [`Self::field`] of the structure with this number.
    #[must_use]
    pub fn field_of(&self, structure: u32, path: &str) -> Option<FieldOffset> {
        let mut id = structure;
        let mut found = FieldOffset { bits: 0, bitfield_size: 0 };
        let mut left = MAX_MEMBERS;
        for member in path.split('.') {
            let (offset, member_type) = self.member(id, member.as_bytes(), 0, &mut left)?;
            found = FieldOffset {
                bits: found.bits.checked_add(offset.bits)?,
                bitfield_size: offset.bitfield_size,
            };
            id = member_type;
        }
        Some(found)
    }

    /// The number of the type that a program attaches to for an iterator of this kind.
    #[must_use]
    pub fn iterator_type(&self, kind: &str) -> Option<u32> {
        self.find(&self.functions, &format!("bpf_iter_{kind}"))
    }

    /// The first of these types with this name.
    fn find(&self, among: &[Named], name: &str) -> Option<u32> {
        let found = among.iter().find(|named| self.is_named(named.name, name.as_bytes()));
        found.map(|named| named.id)
    }

    /// Whether this is the string at `offset`. What follows it is not looked at, for a name may be as long
    /// as all strings together.
    #[inline]
    fn is_named(&self, offset: u32, name: &[u8]) -> bool {
        let Some((first, others)) = name.split_first() else { return false };
        match self.string(offset) {
            // Most differ in the first letter, so that nothing needs to be called.
            Some([begin, rest @ ..]) => {
                begin == first
                    && rest.strip_prefix(others).is_some_and(|end| end.first() == Some(&0))
            }
            _ => false,
        }
    }

    /// The member with this name and its type. `left` is how many may be looked at.
    fn member(
        &self,
        id: u32,
        wanted: &[u8],
        depth: u32,
        left: &mut u32,
    ) -> Option<(FieldOffset, u32)> {
        let composite = self.composite(id)?;
        for index in 0..composite.vlen as usize {
            *left = left.checked_sub(1)?;
            let at = composite.data + index * 12;
            let name = self.word(at)?;
            let member_type = self.word(at + 4)?;
            let raw = self.word(at + 8)?;
            let offset = if composite.kflag {
                FieldOffset { bits: raw & 0x00ff_ffff, bitfield_size: raw >> 24 }
            } else {
                FieldOffset { bits: raw, bitfield_size: 0 }
            };
            if self.is_named(name, wanted) {
                return Some((offset, member_type));
            }
            let is_anonymous = self.string(name).is_none_or(|name| matches!(name, [] | [0, ..]));
            if is_anonymous
                && depth < MAX_DEPTH
                && let Some((inner, inner_type)) = self.member(member_type, wanted, depth + 1, left)
            {
                let bits = offset.bits.checked_add(inner.bits)?;
                return Some((FieldOffset { bits, ..inner }, inner_type));
            }
        }
        None
    }

    /// The structure or union behind typedefs and qualifiers.
    fn composite(&self, mut id: u32) -> Option<TypeHeader> {
        for _ in 0..MAX_DEPTH {
            let header = self.type_header(id)?;
            match header.kind {
                KIND_STRUCT | KIND_UNION => return Some(header),
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST => id = header.reference,
                _ => return None,
            }
        }
        None
    }

    fn type_header(&self, id: u32) -> Option<TypeHeader> {
        let at = *self.types.get((id as usize).checked_sub(1)?)?;
        self.header(at as usize)
    }

    fn header(&self, at: usize) -> Option<TypeHeader> {
        let info = self.word(at + 4)?;
        Some(TypeHeader {
            name: self.word(at)?,
            data: at + 12,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            kflag: info >> 31 != 0,
            reference: self.word(at + 8)?,
        })
    }

    /// The strings from the one at `offset` on.
    fn string(&self, offset: u32) -> Option<&[u8]> {
        let (begin, end) = self.strings;
        self.bytes.get(begin.checked_add(offset as usize)?..end)
    }

    fn word(&self, at: usize) -> Option<u32> {
        let word = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*word))
    }
}

/// Bytes that follow the header of a type.
fn data_length(header: &TypeHeader) -> Result<usize> {
    let vlen = header.vlen as usize;
    Ok(match header.kind {
        // int, var, decl_tag
        1 | 14 | 17 => 4,
        // array
        3 => 12,
        // struct, union, datasec, enum64
        KIND_STRUCT | KIND_UNION | 15 | 19 => vlen * 12,
        // enum, func_proto
        6 | KIND_FUNC_PROTO => vlen * 8,
        // ptr, fwd, typedef, qualifiers, func, float, type_tag
        KIND_PTR | 7..=KIND_FUNC | 16 | 18 => 0,
        kind => bail!("type kind {kind} is newer than this reader"),
    })
}

#[cfg(test)]
mod tests;
