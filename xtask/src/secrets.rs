//! The two secrets that a hub needs, made once per data folder and handed over by environment.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Names and values as the environment carries them: Spin and the host read `SPIN_VARIABLE_<NAME>`.
pub struct Secrets {
    /// What opens `/internal/...`.
    pub internal_secret: String,
    /// What encrypts the few secrets that the database must hold; 64 hexadecimal digits.
    pub data_key: String,
}

/// Where the secrets of a data folder are.
const FILE: &str = "secrets.env";

impl Secrets {
    /// Whether the folder has its secrets.
    pub fn exist(data: &Path) -> bool {
        data.join(FILE).exists()
    }

    /// Reads `secrets.env` in the folder, or makes it from the operating system's random source.
    pub fn ensure(data: &Path) -> Result<Self> {
        let file = data.join(FILE);
        if let Ok(text) = fs::read_to_string(&file) {
            return Self::parse(&text)
                .with_context(|| format!("{} is damaged: restore it from a backup, or start on another --data", file.display()));
        }
        let secrets = Self { internal_secret: random_hex(32)?, data_key: random_hex(32)? };
        let text = format!(
            "# The hub's secrets, for this data folder only. Losing DATA_KEY loses what it encrypts.\n\
             SPIN_VARIABLE_INTERNAL_SECRET={}\nSPIN_VARIABLE_DATA_KEY={}\n",
            secrets.internal_secret, secrets.data_key
        );
        write_private(&file, &text)?;
        Ok(secrets)
    }

    /// The environment of a hub's process.
    pub fn environment(&self) -> [(&'static str, &str); 2] {
        [("SPIN_VARIABLE_INTERNAL_SECRET", &self.internal_secret), ("SPIN_VARIABLE_DATA_KEY", &self.data_key)]
    }

    fn parse(text: &str) -> Result<Self> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(|value| value.trim().to_owned())
                .filter(|value| value.len() >= 32)
                .with_context(|| format!("{name} is missing or too short"))
        };
        let secrets =
            Self { internal_secret: value("SPIN_VARIABLE_INTERNAL_SECRET")?, data_key: value("SPIN_VARIABLE_DATA_KEY")? };
        if secrets.data_key.len() != 64 || !secrets.data_key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("SPIN_VARIABLE_DATA_KEY must be 64 hexadecimal digits");
        }
        Ok(secrets)
    }
}

/// Writes a new file that only its owner can read; whole or not at all.
pub fn write_private(file: &Path, text: &str) -> Result<()> {
    let draft = file.with_extension("new");
    let result = (|| {
        let _ = fs::remove_file(&draft);
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&draft, file)
    })();
    result.with_context(|| format!("{} cannot be written: is the folder yours?", file.display()))
}

fn random_hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut buffer))
        .context("/dev/urandom cannot be read")?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_and_private() {
        let dir = std::env::temp_dir().join(format!("xtask-secrets-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let first = Secrets::ensure(&dir).unwrap();
        let second = Secrets::ensure(&dir).unwrap();
        assert_eq!(first.data_key, second.data_key);
        assert_eq!(first.internal_secret, second.internal_secret);
        assert_ne!(first.data_key, first.internal_secret);
        let mode = fs::metadata(dir.join("secrets.env")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(dir.join("secrets.env"), "SPIN_VARIABLE_INTERNAL_SECRET=short\n").unwrap();
        assert!(Secrets::ensure(&dir).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
