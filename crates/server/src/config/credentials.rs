//! What an external registry is told about who asks: from a file or from the environment, never from the configuration itself.

use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// The variable that has them, if no file does.
pub const VARIABLE: &str = "TIDEWATER_SCHEMAS_CREDENTIALS";
/// Longer ones are some other file.
const BYTES_MAX: usize = 8 << 10;

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("`schemas.credentials_file` ({}) cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("`schemas.credentials_file` and {VARIABLE} are both given: keep one of them")]
    Both,
    #[error("{from} must have one line of up to {BYTES_MAX} bytes: USER:PASSWORD, or a token")]
    Malformed { from: String },
}

/// `USER:PASSWORD`, or a token; `None` if none are given. `variable` is the value of [`VARIABLE`].
pub fn read(file: Option<&Path>, variable: Option<String>) -> Result<Option<String>, CredentialsError> {
    let (text, from) = match (file, variable.filter(|text| !text.is_empty())) {
        (Some(_), Some(_)) => return Err(CredentialsError::Both),
        (None, None) => return Ok(None),
        (None, Some(text)) => (text, VARIABLE.to_owned()),
        (Some(file), None) => {
            let text = std::fs::read_to_string(file)
                .map_err(|source| CredentialsError::Unreadable { file: file.to_owned(), source })?;
            (text, format!("`schemas.credentials_file` ({})", file.display()))
        }
    };
    let text = text.trim();
    if text.is_empty()
        || text.len() > BYTES_MAX
        || text.chars().any(char::is_control)
        || !text.is_ascii() && !text.contains(':')
    {
        return Err(CredentialsError::Malformed { from });
    }
    Ok(Some(text.to_owned()))
}
