//! What the tasks share: where things are, and how other programs are started.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Error, Result, ensure};

/// Set to `1`, it makes `tcptrace/build.rs` leave the kernel programs out.
pub(crate) const SKIP_EBPF: &str = "TCPTRACE_SKIP_EBPF";

/// The root of the repository.
pub(crate) fn root() -> Result<PathBuf> {
    // Read when the task runs, not when it was compiled: the checkout may have moved since.
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
        .context("CARGO_MANIFEST_DIR is not set; start the tasks by `cargo xtask`")?;
    let parent =
        Path::new(&manifest_dir).parent().context("the xtask crate lies in a directory")?;
    Ok(parent.to_path_buf())
}

/// The directory cargo builds into, wherever the configuration put it: the one this program was
/// built into, as `debug/xtask`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find the path of this program")?;
    let target = own.ancestors().nth(2).context("this program lies in a target directory")?;
    Ok(target.to_path_buf())
}

/// The directory the build tools are installed under. It stays inside the repository whatever
/// the target directory is, because `tcptrace/build.rs` looks there too.
pub(crate) fn tools_dir() -> Result<PathBuf> {
    Ok(root()?.join("target/tools"))
}

/// The directory of the installed compiler and its libraries.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(root()?);
    let output = rustc.output().context("cannot start rustc; install Rust by rustup")?;
    ensure!(output.status.success(), "`rustc --print sysroot` failed; is the toolchain complete?");
    let path = String::from_utf8(output.stdout).context("the path of the toolchain is no UTF-8")?;
    Ok(PathBuf::from(path.trim_end()))
}

/// A cargo command, run at the root of the repository with the installed tools found first.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Result<Command> {
    let mut path = OsString::from(tools_dir()?.join("bin"));
    if let Some(inherited) = env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root()?).env("PATH", path);
    Ok(command)
}

/// Runs a command to its end, and fails when it fails.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}

/// Turns this process into the command: its signals and exit status are the command's own.
/// Comes back only with the reason why that was impossible.
pub(crate) fn become_command(command: &mut Command) -> Error {
    let error = command.exec();
    Error::new(error).context(format!("cannot start `{}`", show(command)))
}

/// The command as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}

/// Whether this process has root's rights.
pub(crate) fn is_root() -> Result<bool> {
    // The owner of this directory is the effective user; asking libc would need unsafe code.
    let metadata = fs::metadata("/proc/self").context("cannot read /proc/self; mount /proc")?;
    Ok(metadata.uid() == 0)
}

/// A command that runs `program` as root, whoever runs this.
pub(crate) fn as_root(program: &Path) -> Result<Command> {
    if is_root()? {
        return Ok(Command::new(program));
    }
    ensure_root_within_reach()?;
    let mut command = Command::new("sudo");
    command.arg("--").arg(program);
    Ok(command)
}

/// Fails, naming the fix, when neither this process is root nor sudo could make it so.
pub(crate) fn ensure_root_within_reach() -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sudo = env::split_paths(&path).any(|directory| directory.join("sudo").is_file());
    ensure!(
        sudo || is_root()?,
        "kernel programs are loaded by root only, and there is no sudo here; \
         install sudo, or run this task as root"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("cargo");
        command.args(["build", "--release"]);
        assert_eq!(show(&command), "cargo build --release");
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().unwrap().join("xtask/Cargo.toml").is_file());
    }
}
