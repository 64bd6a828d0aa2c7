//! Runs the built binary in a folder of its own, without a terminal and without the caller's settings.

use serde_json::Value;
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

/// A command to be run.
pub struct Throughline {
    folder: tempfile::TempDir,
    args: Vec<String>,
    input: String,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn throughline(args: &[&str]) -> Throughline {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Throughline { folder: tempfile::tempdir().unwrap(), args, input: String::new() }
}

#[allow(dead_code, reason = "each test binary uses its part")]
impl Throughline {
    /// A file in the folder it runs in.
    pub fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// What a file in its folder holds afterwards.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    pub fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    pub fn run(&self) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("THROUGHLINE_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(&self.args)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = self.input.clone();
        // A command that reads nothing closes its end; that is not this thread's business.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[allow(dead_code, reason = "each test binary uses its part")]
impl Ended {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
