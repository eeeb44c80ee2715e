//! Rows of a table under construction.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow_array::RecordBatch;
use arrow_schema::Schema;

use super::{connections, transitions};
use crate::{
    model::change::Change,
    output::{fields, times::Times},
    time::Timestamp,
};

/// What a row of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// One transition.
    Transitions,
    /// One finished connection.
    Connections,
}

impl Table {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transitions => "transitions",
            Self::Connections => "connections",
        }
    }

    /// When the row that `change` makes happened; `None` if it makes none.
    #[must_use]
    pub fn time(self, change: &Change) -> Option<Timestamp> {
        match (self, change) {
            (Self::Transitions, Change::Moved(moved)) => Some(moved.at),
            (Self::Connections, Change::Finished(finished)) => Some(finished.closed),
            _ => None,
        }
    }
}

enum Columns {
    Transitions(Box<transitions::Columns>),
    Connections(Box<connections::Columns>),
}

/// Rows of one table and one host.
pub(super) struct Rows {
    columns: Columns,
    schema: Arc<Schema>,
    host: Option<String>,
    count: usize,
}

impl Rows {
    pub(super) fn new(table: Table, host: Option<String>) -> Self {
        let (columns, schema) = match table {
            Table::Transitions => {
                (Columns::Transitions(Box::default()), transitions::Columns::schema())
            }
            Table::Connections => {
                (Columns::Connections(Box::default()), connections::Columns::schema())
            }
        };
        Self { columns, schema: Arc::new(schema), host, count: 0 }
    }

    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds the row that `change` makes, if it makes one.
    pub(super) fn push(&mut self, change: &Change, times: &Times) {
        let host = self.host.as_deref();
        match (&mut self.columns, change) {
            (Columns::Transitions(columns), Change::Moved(moved)) => {
                let process = moved.owner.process();
                let comm = process.map(|process| String::from_utf8_lossy(process.comm.as_bytes()));
                let row = fields::transitions::fields(times, moved, comm.as_deref(), true);
                columns.push(host, &row);
            }
            (Columns::Connections(columns), Change::Finished(life)) => {
                let process = life.owner.process();
                let comm = process.map(|process| String::from_utf8_lossy(process.comm.as_bytes()));
                let row = fields::connections::fields(times, life, comm.as_deref(), true);
                columns.push(host, &row);
            }
            _ => return,
        }
        self.count += 1;
    }

    /// All rows; none are left.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        self.count = 0;
        let columns = match &mut self.columns {
            Columns::Transitions(columns) => columns.finish(),
            Columns::Connections(columns) => columns.finish(),
        };
        RecordBatch::try_new(Arc::clone(&self.schema), columns).context("cannot close a batch")
    }
}
