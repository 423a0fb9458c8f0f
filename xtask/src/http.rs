//! A plain HTTP client for loopback: no TLS, no retries, and every status is an answer.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

/// One request, kept as data so that the tour can print it as a curl before it is sent.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// `GET`, `POST` ...
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Whose access token goes along: a name that the tour prints as a shell variable, and the token.
    pub bearer: Option<(&'static str, String)>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body with its content type.
    pub body: Option<(&'static str, String)>,
    /// The name of the file that the tour shows instead of a long body.
    pub file: Option<String>,
}

impl Call {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), ..Self::default() }
    }

    /// A POST without a body.
    pub fn post(path: impl Into<String>) -> Self {
        Self { method: "POST", path: path.into(), ..Self::default() }
    }

    /// With this JSON text as the body.
    pub fn json(self, text: impl Into<String>) -> Self {
        Self { body: Some(("application/json", text.into())), ..self }
    }

    /// With this CSV text as the body; `file` is what the tour calls it.
    pub fn csv(self, file: &str, text: impl Into<String>) -> Self {
        Self { body: Some(("text/csv", text.into())), file: Some(file.to_owned()), ..self }
    }

    /// As the holder of this access token.
    pub fn bearer(self, variable: &'static str, token: &str) -> Self {
        Self { bearer: Some((variable, token.to_owned())), ..self }
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body's text.
    pub text: String,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("not JSON: {}", self.brief()))
    }

    /// Status and the beginning of the body, on one line.
    pub fn brief(&self) -> String {
        let text: String = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} {}", self.status, text.chars().take(300).collect::<String>())
    }
}

/// A client bound to one hub.
pub struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    /// `base` is scheme and authority: `http://127.0.0.1:3000`.
    pub fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        Self { base: base.trim_end_matches('/').to_owned(), agent }
    }

    /// Scheme and authority.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends one request.
    pub fn send(&self, call: &Call) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(call.method).uri(format!("{}{}", self.base, call.path));
        if let Some((_, token)) = &call.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let sent = match &call.body {
            Some((kind, text)) => self.agent.run(request.header("content-type", *kind).body(text.as_str())?),
            None if call.method == "GET" => self.agent.run(request.body(())?),
            None => self.agent.run(request.body("")?),
        };
        let mut response = sent.map_err(|error| anyhow!("{} {}: {error}", call.method, call.path))?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        Ok(Answer { status, headers, text })
    }

    /// Sends one request and insists on the status.
    pub fn expect(&self, call: &Call, status: u16) -> Result<Answer> {
        let answer = self.send(call)?;
        if answer.status != status {
            bail!("{} {} answered {}, not {status}", call.method, call.path, answer.brief());
        }
        Ok(answer)
    }
}

/// A JSON object of strings, in the order written: bodies stay readable in a printed curl.
pub fn object(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{}", Value::from(*name), Value::from(*value))).collect();
    format!("{{{}}}", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_order_and_escape() {
        assert_eq!(object(&[("b", "x\"y"), ("a", "日本")]), r#"{"b":"x\"y","a":"日本"}"#);
    }
}
