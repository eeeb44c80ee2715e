//! A page in headless Chromium: what it shows, and that nothing in it fails.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// What Chromium writes to stderr for everything that a page's console would show.
const CONSOLE: &str = "CONSOLE";

/// A page, as the browser understood it.
pub(super) struct Dom {
    pub(super) text: String,
}

impl Dom {
    /// Opens the page; fails if its console has anything to say.
    pub(super) fn of(page: &Path) -> Result<Self> {
        let profile = Profile::new()?;
        let broken = profile.0.join("broken.html");
        fs::write(&broken, "<!DOCTYPE html><script>nowhere()</script>")?;
        let output = profile.open(&broken)?;
        ensure!(says(&output), "a broken page would not be noticed: {output:?}");
        let output = profile.open(page)?;
        ensure!(!says(&output), "{}", String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "chromium ended with {}", output.status);
        Ok(Self { text: String::from_utf8(output.stdout).context("a page is UTF-8")? })
    }

    /// The numbers on the page: where the JSON has them, what they are, and as what they are shown.
    pub(super) fn numbers(&self) -> Result<Vec<(String, Value, String)>> {
        let number = |rest: &str| {
            let (pointer, rest) = rest.split_once("\" data-value=\"").context("a value")?;
            let (value, rest) = rest.split_once('"').context("the end of a value")?;
            let (_, rest) = rest.split_once('>').context("the end of a tag")?;
            let (shown, _) = rest.split_once('<').context("the end of an element")?;
            let value =
                serde_json::from_str(value).with_context(|| format!("{pointer}: {value}"))?;
            Ok((pointer.to_owned(), value, shown.to_owned()))
        };
        self.text.split("data-of=\"").skip(1).map(number).collect()
    }
}

fn says(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains(CONSOLE)
}

/// A folder for what the browser keeps.
struct Profile(PathBuf);

impl Profile {
    fn new() -> Result<Self> {
        let folder = env::temp_dir().join(format!("tcptrace-browser-{}", process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn open(&self, page: &Path) -> Result<Output> {
        let mut url = std::ffi::OsString::from("file://");
        url.push(page);
        Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--enable-logging=stderr", "--dump-dom"])
            .arg(format!("--user-data-dir={}", self.0.display()))
            .arg(url)
            .output()
            .context("cannot start chromium: install it (apt-get install chromium)")
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // What it keeps is of no use to anybody.
        _ = fs::remove_dir_all(&self.0);
    }
}
