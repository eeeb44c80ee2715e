//! The columns of a recording. Their names and types are a promise.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch, new_null_array,
    types::{Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type},
};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::{
    column::{Bytes, Column, Flags, Numbers},
    names::{NameList, Names},
    repeated::{self, Repeated},
    turn::{BLOCK, transpose},
};

macro_rules! name_list {
    ($(#[$doc:meta])* $list:ident = $($name:literal),*) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $list;
        impl NameList for $list {
            const NAMES: &[&str] = &[$($name),*];
        }
    };
}

name_list!(
    /// What a row is; the order is that of `rows.rs`.
    Kinds = "transition", "hook", "socket", "dump_end", "owner", "fork", "process", "sysctls",
    "snapshot_end", "lost", "clock", "tick"
);
name_list!(
    /// States, by the kernel's number less one.
    States = "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"
);
name_list!(
    /// What a helper hook saw; the order is that of `rows.rs`.
    Hooks = "destroyed", "reset_received", "reset_sent", "accepted", "time_wait_made", "orphan_made",
    "no_minisock", "minisock_got_fin", "minisock_reset", "minisock_ended"
);
name_list!(
    /// Which kernel structure stands for a connection.
    Shapes = "full", "minisock", "request"
);
name_list!(
    /// What a timer does.
    Timers = "off", "retransmit", "keepalive", "timewait", "probe"
);
name_list!(
    /// Why records were lost.
    Losses = "ring_full", "recursion", "undecodable", "recorder_behind"
);

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident: $column:ty;)*) => {
        /// A batch under construction.
        #[derive(Debug, Default)]
        pub(super) struct Columns { $($(#[$doc])* pub(super) $name: $column,)* }

        /// A batch being read.
        #[derive(Debug)]
        pub(super) struct View { $($(#[$doc])* pub(super) $name: <$column as Column>::View,)* }

        /// A block of rows, on its way into the columns or out of them. There a row has a bit for each
        /// of its cells, a column for each of its rows: the same bits, turned. So a column is copied in
        /// one go, with neither a branch nor a check for a cell.
        #[derive(Debug)]
        pub(super) struct Block {
            /// The cells of each row that have a value: a bit for each [`Place`].
            pub(super) known: [u64; BLOCK],
            $($(#[$doc])* pub(super) $name: [<$column as Column>::Cell; BLOCK],)*
        }

        impl Default for Block {
            fn default() -> Self {
                Self { known: [0; BLOCK], $($name: [Default::default(); BLOCK],)* }
            }
        }

        /// The places of the cells in a row.
        #[derive(Clone, Copy, Debug)]
        #[expect(non_camel_case_types, reason = "they are the names of the columns")]
        pub(super) enum Place { $($name,)* }

        impl Columns {
            fn fields() -> Vec<Field> {
                vec![$(Field::new(stringify!($name), <$column>::data_type(), true),)*]
            }

            /// Whether the column of this name can be read from this type.
            fn reads(name: &str, data_type: &DataType) -> bool {
                match name {
                    $(stringify!($name) => <$column>::reads(data_type),)*
                    _ => false,
                }
            }

            /// Whether the batch has no room for another block, however few its rows are.
            pub(super) fn is_full(&self) -> bool {
                $(self.$name.is_full())||*
            }

            fn finish(&mut self, rows: usize) -> Vec<ArrayRef> {
                vec![$(self.$name.finish(rows),)*]
            }

            /// Takes in the first `rows` rows of a block, the first of which is row `begin` of the batch.
            pub(super) fn take(&mut self, begin: usize, rows: usize, block: &mut Block) {
                let mut known = [0; BLOCK];
                known[..rows].copy_from_slice(&block.known[..rows]);
                transpose(&mut known);
                $(
                    let bits = known[Place::$name as usize];
                    if bits != 0 {
                        self.$name.take(begin, bits, &mut block.$name[..rows]);
                    }
                )*
            }
        }

        impl View {
            /// Reads a batch by the names of its columns. One that is missing is empty: an older
            /// version did not have it. `None` if one has another type than ours.
            pub(super) fn new(batch: &RecordBatch) -> Option<Self> {
                Some(Self { $($name: view::<$column>(batch, stringify!($name))?,)* })
            }

            /// Fills a block with so many rows from row `begin` of the batch on.
            pub(super) fn give(&self, begin: usize, rows: usize, block: &mut Block) {
                $(
                    block.known[Place::$name as usize] =
                        <$column as Column>::give(&self.$name, begin, &mut block.$name[..rows]);
                )*
                block.known[PLACES..].fill(0);
                transpose(&mut block.known);
            }
        }

        /// How many columns there are: no more than a word has bits.
        const PLACES: usize = [$(stringify!($name)),*].len();
    };
}

columns! {
    /// What the row is.
    kind: Names<Kinds>;
    /// When, in ns of the boot-time clock.
    boot_ns: Numbers<UInt64Type>;
    /// Address of the kernel's socket.
    skaddr: Numbers<UInt64Type>;
    /// Socket cookie.
    cookie: Numbers<UInt64Type>;
    /// State left.
    from: Names<States>;
    /// State entered; of a socket, its state.
    to: Names<States>;
    /// Local address; IPv4 as v4-mapped IPv6.
    laddr: Repeated<repeated::Address>;
    /// Remote address.
    raddr: Repeated<repeated::Address>;
    /// Local port.
    lport: Numbers<UInt16Type>;
    /// Remote port.
    rport: Numbers<UInt16Type>;
    /// The socket is an IPv6 one.
    ipv6: Flags;
    /// It is an IPv6 one with IPv4 addresses.
    v4mapped: Flags;
    /// Inode number of the network namespace.
    netns: Numbers<UInt32Type>;
    /// A task owned the socket's lock; null if no field of the socket is known.
    owned: Flags;
    /// No descriptor refers to it any more.
    dead: Flags;
    /// The peer's FIN was received.
    done: Flags;
    /// Pending error, a positive errno.
    err: Numbers<UInt16Type>;
    /// 1 receive side shut down, 2 send side.
    shutdown: Numbers<UInt8Type>;
    /// The kernel created it for itself.
    kernel: Flags;
    /// It is in repair mode.
    repair: Flags;
    /// Inode number of the socket.
    inode: Numbers<UInt32Type>;
    /// The task on the CPU, a holder, a process; of a fork, the parent.
    pid: Numbers<UInt32Type>;
    /// Its command name.
    comm: Repeated<repeated::Comm>;
    /// Payload bytes sent.
    tx_bytes: Numbers<UInt64Type>;
    /// Payload bytes received.
    rx_bytes: Numbers<UInt64Type>;
    /// Segments sent again; of a timer, in vain.
    retransmits: Numbers<UInt32Type>;
    /// Smoothed round-trip time, us.
    srtt_us: Numbers<UInt32Type>;
    /// Id of the cgroup in which the socket was created.
    cgroup_id: Repeated<repeated::Number>;
    /// How long the minisock of an orphan will wait, ns.
    orphan_lifetime_ns: Repeated<repeated::Number>;
    /// What a hook saw.
    hook: Names<Hooks>;
    /// Which kernel structure a socket is.
    shape: Names<Shapes>;
    /// Unread bytes.
    recv_q: Numbers<UInt32Type>;
    /// Unacknowledged and unsent bytes.
    send_q: Numbers<UInt32Type>;
    /// Armed timer.
    timer: Names<Timers>;
    /// When it fires, ns of the boot-time clock.
    timer_expires_ns: Repeated<repeated::Number>;
    /// When the last ACK arrived.
    last_ack_ns: Repeated<repeated::Number>;
    /// When data last arrived.
    last_data_ns: Repeated<repeated::Number>;
    /// When data was last sent.
    last_sent_ns: Repeated<repeated::Number>;
    /// Since when it waits.
    waiting_ns: Repeated<repeated::Number>;
    /// Descriptor number.
    fd: Numbers<UInt32Type>;
    /// The new process of a fork.
    child: Numbers<UInt32Type>;
    /// Of a process its arguments; of settings `name=value` lines; of a dump the namespaces it covered.
    text: Bytes;
    /// Path of the cgroup of a process.
    cgroup: Bytes;
    /// How many records were lost.
    count: Repeated<repeated::Number>;
    /// Why.
    why: Names<Losses>;
    /// The wall clock at `boot_ns`, ns since 1970-01-01 UTC.
    wall_ns: Numbers<Int64Type>;
}

fn view<C: Column>(batch: &RecordBatch, name: &str) -> Option<C::View> {
    match batch.column_by_name(name) {
        Some(array) => C::view(array),
        None => C::view(&new_null_array(&C::data_type(), batch.num_rows())),
    }
}

/// The places of the columns that we know in a schema, ascending; of two of one name the first.
/// `None` if one has another type than ours.
pub(super) fn known_columns(schema: &Schema) -> Option<Vec<usize>> {
    let mut known = Vec::new();
    for ours in Columns::fields() {
        if let Some((place, theirs)) = schema.column_with_name(ours.name()) {
            if !Columns::reads(ours.name(), theirs.data_type()) {
                return None;
            }
            known.push(place);
        }
    }
    known.sort_unstable();
    Some(known)
}

/// The schema, with what describes the recording as a whole.
pub(super) fn schema(metadata: HashMap<String, String>) -> Arc<Schema> {
    Arc::new(Schema::new_with_metadata(Columns::fields(), metadata))
}

impl Columns {
    /// Closes the batch and begins a new one.
    ///
    /// # Errors
    /// Never, as all columns have the same length.
    pub(super) fn batch(
        &mut self,
        schema: &Arc<Schema>,
        rows: usize,
    ) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Arc::clone(schema), self.finish(rows))
    }
}
