//! `tcptrace list` against `ss`: sockets in many states, in two namespaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{mode, namespace::words, script, stage::Stage};

const STEPS: &str = "
    veth
    place far there
    far listen M 10.0.0.2:80
    srv listen L :80
    srv listen L6 [::]:90
    cli connect OPEN :80
    srv accept OPEN2 L
    cli connect HALF :80
    srv accept HALF2 L
    cli shutdown HALF
    srv eof HALF2
    cli until HALF FIN_WAIT2
    cli connect ORPHAN :80
    srv accept ORPHAN2 L
    cli close ORPHAN
    srv eof ORPHAN2
    cli connect GONE :80
    srv accept GONE2 L
    cli shutdown GONE
    srv eof GONE2
    srv close GONE2
    cli eof GONE
    cli until GONE CLOSE
    cli connect WAITING :80
    cli connect V6 [::1]:90
    srv accept V62 L6
    cli connect MAPPED :90
    srv accept MAPPED2 L6
    cli send MAPPED 1234
    srv recv MAPPED2 34
    cli connect FAR 10.0.0.2:80
    far accept FAR2 M
    run ip neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0 nud permanent
    cli start NOBODY 10.0.0.9:80
    cli fork kid
    kid close OPEN";

/// What both tools say of one socket.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) state: String,
    inode: Option<u64>,
    /// Process and descriptor of each holder.
    owners: BTreeSet<(u64, u64)>,
    pub(crate) recv_q: u64,
    pub(crate) send_q: u64,
}

/// Local and remote address and port; a listener has no remote end.
pub(crate) type Ends = ((IpAddr, u16), Option<(IpAddr, u16)>);

pub(crate) fn run() -> Result<()> {
    let mut stage = Stage::new()?;
    for step in script::parse(STEPS)? {
        stage.play(&step)?;
    }
    let there = stage.there.as_ref().context("there are two namespaces")?;
    let output =
        mode::tcptrace()?.args(["list", "--json"]).output().context("cannot start tcptrace")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tcptrace list ended with {}: {stderr}", output.status);
    let listed = String::from_utf8(output.stdout).context("JSON is UTF-8")?;
    let mut wrong = String::new();
    for (netns, least) in [(&stage.here, 17), (there, 2)] {
        let listed = parse_list(&listed, netns.inode())?;
        let shown = netns.run(&words("ss -H -O -t -a -n -p -e"))?;
        let shown = parse_ss(&shown)?;
        ensure!(
            shown.len() >= least,
            "ss shows {} sockets, and there should be {least}: {shown:?}",
            shown.len()
        );
        differences(&listed, &shown, &mut wrong);
    }
    ensure!(wrong.is_empty(), "tcptrace list and ss differ:\n{wrong}");
    Ok(())
}

fn differences(listed: &BTreeMap<Ends, Row>, shown: &BTreeMap<Ends, Row>, wrong: &mut String) {
    for (ends, row) in shown {
        match listed.get(ends) {
            Some(same) if same == row => {}
            other => _ = writeln!(wrong, "{ends:?}\n  ss:   {row:?}\n  list: {other:?}"),
        }
    }
    for (ends, row) in listed {
        if !shown.contains_key(ends) {
            _ = writeln!(wrong, "{ends:?}\n  ss:   nothing\n  list: {row:?}");
        }
    }
}

fn parse_list(text: &str, netns: u64) -> Result<BTreeMap<Ends, Row>> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let value: Value =
            serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let parse = || -> Result<(Ends, Row)> {
            let end = |address: &str, port: &str| -> Result<Option<(IpAddr, u16)>> {
                let port = value.get(port).with_context(|| format!("no `{port}`"))?.as_u64();
                let address =
                    value.get(address).with_context(|| format!("no `{address}`"))?.as_str();
                let (Some(address), Some(port)) = (address, port) else { return Ok(None) };
                Ok(Some((address.parse()?, u16::try_from(port)?)))
            };
            let number = |name: &str| -> Result<Option<u64>> {
                Ok(value.get(name).with_context(|| format!("no `{name}`"))?.as_u64())
            };
            let mut owners = BTreeSet::new();
            for owner in value["owners"].as_array().context("`owners` is a list")? {
                let pid = owner["pid"].as_u64().context("an owner has a pid")?;
                ensure!(owner["comm"].is_string(), "an owner has a name");
                for fd in owner["fds"].as_array().context("`fds` is a list")? {
                    owners.insert((pid, fd.as_u64().context("a descriptor is a number")?));
                }
            }
            ensure!(value["age"].is_string(), "`age` says how the age is known");
            number("age_ns")?;
            let state = value["state"].as_str().context("`state` is a text")?.to_owned();
            let local = end("laddr", "lport")?.context("a socket has a local end")?;
            let remote = if state == "LISTEN" { None } else { end("raddr", "rport")? };
            let row = Row {
                state,
                inode: number("inode")?,
                owners,
                recv_q: number("recv_q")?.unwrap_or_default(),
                send_q: number("send_q")?.unwrap_or_default(),
            };
            Ok(((local, remote), row))
        };
        // ss cannot see a closed socket whose descriptor is still open.
        if value["type"] == "socket" && value["netns"] == netns && value["state"] != "CLOSE" {
            let (ends, row) = parse().with_context(|| format!("in {line}"))?;
            ensure!(rows.insert(ends, row).is_none(), "listed twice: {line}");
        }
    }
    Ok(rows)
}

pub(crate) fn parse_ss(text: &str) -> Result<BTreeMap<Ends, Row>> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let parse = || -> Result<(Ends, Row)> {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [state, recv_q, send_q, local, remote, rest @ ..] = words.as_slice() else {
                bail!("too few columns");
            };
            let inode = rest.iter().find_map(|word| word.strip_prefix("ino:")?.parse().ok());
            let users =
                rest.iter().find_map(|word| word.strip_prefix("users:")).unwrap_or_default();
            let mut owners = BTreeSet::new();
            for user in users.split("pid=").skip(1) {
                let (pid, rest) = user.split_once(",fd=").context("a user has a descriptor")?;
                let fd: String = rest.chars().take_while(char::is_ascii_digit).collect();
                owners.insert((pid.parse()?, fd.parse()?));
            }
            let local = parse_end(local)?.context("a socket has a local end")?;
            let row = Row {
                state: full_name(state)?.to_owned(),
                inode: inode.filter(|inode| *inode != 0),
                owners,
                recv_q: recv_q.parse()?,
                // It is below 0 where the SYN waits for the first write.
                send_q: u64::try_from(send_q.parse::<i64>()?).unwrap_or_default(),
            };
            Ok(((local, parse_end(remote)?), row))
        };
        let (ends, row) = parse().with_context(|| format!("in the line of ss `{line}`"))?;
        rows.insert(ends, row);
    }
    Ok(rows)
}

/// `127.0.0.1:80`, `[::1]:80`; `*` is any address or any port.
fn parse_end(text: &str) -> Result<Option<(IpAddr, u16)>> {
    let (address, port) =
        text.rsplit_once(':').with_context(|| format!("`{text}` is no address"))?;
    if port == "*" {
        return Ok(None);
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = if address == "*" { "::" } else { address }.parse()?;
    Ok(Some((address.to_canonical(), port.parse()?)))
}

fn full_name(state: &str) -> Result<&'static str> {
    Ok(match state {
        "ESTAB" => "ESTABLISHED",
        "SYN-SENT" => "SYN_SENT",
        "SYN-RECV" => "SYN_RECV",
        "FIN-WAIT-1" => "FIN_WAIT1",
        "FIN-WAIT-2" => "FIN_WAIT2",
        "TIME-WAIT" => "TIME_WAIT",
        "CLOSE-WAIT" => "CLOSE_WAIT",
        "LAST-ACK" => "LAST_ACK",
        "LISTEN" => "LISTEN",
        "CLOSING" => "CLOSING",
        other => bail!("ss has a state `{other}`"),
    })
}
