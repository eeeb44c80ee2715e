//! What is wrong with the findings of a row, as text.

use std::{fmt::Write as _, net::IpAddr, sync::Arc};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    check::{Mode, latency, ns},
    notation::Expected,
};
use crate::{
    list,
    namespace::{Namespace, words},
    stage::Stage,
};

/// What is wrong, with the lines it is about.
#[derive(Default)]
pub(super) struct Report {
    pub(super) wrong: String,
}

impl Report {
    fn add(&mut self, title: &str, wrong: &[String], line: &Value) {
        for wrong in wrong {
            // Writing to a string cannot fail.
            _ = writeln!(self.wrong, "{title}: {wrong}");
        }
        if !wrong.is_empty() {
            _ = writeln!(self.wrong, "  {line}");
        }
    }

    pub(super) fn unless_expected(
        &mut self,
        line: &Value,
        found: &[Expected],
        stage: &Stage,
        how: &str,
    ) {
        if !found.iter().any(|expected| expected.is_about(line, &stage.record)) {
            self.add(&format!("{how}: nobody asked for"), &["this".to_owned()], line);
        }
    }

    pub(super) fn of_live(
        &mut self,
        expected: &Expected,
        lines: &[Arc<Value>],
        stage: &Stage,
    ) -> Result<()> {
        let title = format!("live: {} {}", expected.kind, expected.socket);
        let about = |line: &&Arc<Value>| expected.is_about(line, &stage.record);
        let mut before: Option<&Value> = None;
        for line in lines.iter().filter(about) {
            if line["type"] != "stuck" {
                self.add(&title, &["it is said to be over".to_owned()], line);
                continue;
            }
            let mode = Mode::Live { first: before.is_none() };
            let mut wrong = expected.wrong(line, stage, mode)?;
            let age = |line: &Value| line["age_ns"].as_u64().unwrap_or_default();
            if before.is_some_and(|before| age(line) < 2 * age(before)) {
                wrong.push("it is repeated before it is twice as old".to_owned());
            }
            if let Some(before) = before.filter(|_| line["age"] == "exact")
                && age(line) > 2 * age(before) + ns(latency())
            {
                wrong.push("it is repeated late".to_owned());
            }
            if before.is_some_and(|before| before["conn"] != line["conn"]) {
                wrong.push("it has another `conn` than before".to_owned());
            }
            self.add(&title, &wrong, line);
            before = Some(line);
        }
        if lines.iter().filter(about).count() < 2 {
            self.add(&title, &["it is not told twice".to_owned()], &Value::Null);
        }
        Ok(())
    }

    pub(super) fn of_look<'a>(
        &mut self,
        expected: &Expected,
        lines: impl Iterator<Item = &'a Value>,
        stage: &Stage,
    ) -> Result<()> {
        let title = format!("once: {} {}", expected.kind, expected.socket);
        let lines: Vec<_> = lines.filter(|line| expected.is_about(line, &stage.record)).collect();
        if lines.len() != 1 && !(expected.perhaps && lines.is_empty()) {
            self.add(&title, &[format!("it is told {} times", lines.len())], &Value::Null);
        }
        for line in lines {
            let wrong = expected.wrong(line, stage, Mode::Once)?;
            self.add(&title, &wrong, line);
        }
        Ok(())
    }

    /// `ss` must show the sockets as we do, but not those whose connection is over.
    pub(super) fn of_ss<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a Value>,
        netns: &Namespace,
    ) -> Result<()> {
        let shown = list::parse_ss(&netns.run(&words("ss -H -O -t -a -n -e"))?)?;
        for line in lines {
            let end = |address: &str, port: &str| -> Result<(IpAddr, u16)> {
                let address = line[address].as_str().context("an address")?.parse()?;
                Ok((address, u16::try_from(line[port].as_u64().context("a port")?)?))
            };
            let shown = shown.get(&(end("laddr", "lport")?, Some(end("raddr", "rport")?)));
            let as_we_do = |row: &list::Row| {
                line["state"] == *row.state
                    && line["recv_q"] == row.recv_q
                    && line["send_q"] == row.send_q
            };
            // A connection that both ends closed goes on in TIME_WAIT without its descriptor.
            let is_over = |row: &list::Row| row.state == "TIME_WAIT";
            let is_right = match line["state"] == "CLOSE" {
                true => shown.is_none_or(is_over),
                false => shown.is_some_and(as_we_do),
            };
            if !is_right {
                self.add("ss", &[format!("it shows {shown:?}")], line);
            }
        }
        Ok(())
    }

    pub(super) fn of_end(
        &mut self,
        expected: &Expected,
        lines: &[Arc<Value>],
        stage: &Stage,
        ending: u64,
    ) -> Result<()> {
        let title = format!("end: {} {}", expected.kind, expected.socket);
        let about = |line: &&Arc<Value>| expected.is_in_state(line, &stage.record);
        let (ends, told): (Vec<_>, Vec<_>) =
            lines.iter().filter(about).partition(|line| line["type"] == "resolved");
        if ends.len() != 1 {
            self.add(&title, &[format!("it is told {} times", ends.len())], &Value::Null);
        }
        for line in ends {
            let mut wrong = expected.wrong_resolved(line, &stage.record, ending)?;
            if told.first().is_none_or(|first| first["conn"] != line["conn"]) {
                wrong.push("it has another `conn` than before".to_owned());
            }
            self.add(&title, &wrong, line);
        }
        Ok(())
    }
}
