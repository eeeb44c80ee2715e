//! Recordings that somebody has tampered with: no panic, and no memory that they have not paid for.

use tcptrace::{
    event::{Event, ProcessDetails},
    recording::Compression,
    time::Timestamp,
};

use crate::{
    memory::peak,
    sample::{events, read, recorded},
};

/// What reading a small recording may take, whatever it claims: the buffers of the decompressors, which
/// take as much for any.
const ENOUGH: usize = 24 << 20;
const COMPRESSIONS: [Compression; 3] = [Compression::Zstd, Compression::Lz4, Compression::None];

#[test]
fn no_bit_that_is_flipped_takes_much_memory_or_panics() {
    for compression in COMPRESSIONS {
        let mut bytes = recorded(&[events()], compression);
        assert!(bytes.len() < 40_000, "every bit of {} bytes takes long", bytes.len());
        assert_eq!(read(&bytes), (events(), None));
        // Of those that are not the default, one bit of each byte.
        let step = if compression == Compression::Zstd { 1 } else { 9 };
        for bit in (0..bytes.len() * 8).step_by(step) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let taken = peak(|| drop(read(&bytes)));
            assert!(taken < ENOUGH, "{compression:?}, bit {bit}: {taken} bytes");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn what_was_cut_gives_its_whole_batches_for_little_memory() {
    let batches: Vec<Vec<Event>> = events().chunks(3).map(<[Event]>::to_vec).collect();
    for compression in [Compression::Zstd, Compression::None] {
        let bytes = recorded(&batches, compression);
        let mut most = 0;
        for length in 0..bytes.len() {
            let mut count = 0;
            let taken = peak(|| {
                let (events_read, broken) = read(&bytes[..length]);
                assert_eq!(events_read, events()[..events_read.len()], "cut at {length}");
                // The mark at the end is eight bytes.
                assert!(broken.is_some(), "cut at {length}, and nothing is said");
                count = events_read.len();
            });
            assert!(taken < ENOUGH, "{compression:?}, cut at {length}: {taken} bytes");
            assert!(count >= most, "cut at {length}");
            most = count;
        }
        assert_eq!(most, events().len());
    }
}

#[test]
fn a_small_file_that_unpacks_to_much_is_refused_before_it_does() {
    let long = |pid| {
        let cmdline = Some(vec![b'a'; 1 << 20]);
        Event::Process(ProcessDetails { pid, cmdline, cgroup: None })
    };
    let bomb = |events| (0..events).map(long).collect::<Vec<_>>();
    for compression in [Compression::Zstd, Compression::Lz4] {
        let bytes = recorded(&[vec![Event::Tick(Timestamp(1))], bomb(200)], compression);
        assert!(bytes.len() < 2 << 20, "{} bytes", bytes.len());
        let taken = peak(|| {
            let (events, broken) = read(&bytes);
            assert_eq!(events, [Event::Tick(Timestamp(1))]);
            let broken = broken.unwrap_or_default();
            assert!(broken.contains("larger than any"), "{broken}");
        });
        assert!(taken < ENOUGH, "{compression:?}: {taken} bytes");
        // What is less is read.
        assert_eq!(read(&recorded(&[bomb(20)], compression)), (bomb(20), None));
    }
}

#[test]
fn a_full_batch_of_a_small_file_takes_what_a_batch_takes() {
    let batch = vec![Event::Tick(Timestamp(1)); 65_536];
    let bytes = recorded(std::slice::from_ref(&batch), Compression::Zstd);
    assert!(bytes.len() < 256 << 10, "{} bytes", bytes.len());
    let taken = peak(|| assert_eq!(read(&bytes).0.len(), batch.len()));
    assert!(taken < 128 << 20, "{taken} bytes");
}

#[test]
fn more_rows_than_any_version_wrote_are_refused() {
    let batch = vec![Event::Tick(Timestamp(1)); (1 << 17) + 1];
    let bytes = recorded(&[batch], Compression::Zstd);
    let taken = peak(|| {
        let (events, broken) = read(&bytes);
        assert_eq!(events, []);
        assert_eq!(broken.as_deref(), Some("131073 rows in a batch are more than any"));
    });
    assert!(taken < ENOUGH, "{taken} bytes");
}
