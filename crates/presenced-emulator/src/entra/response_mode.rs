//! How the answer to a browser sign-in gets to the application.
//!
//! Source: OAuth 2.0 Multiple Response Type Encoding Practices; OAuth 2.0 Form Post Response Mode.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, LOCATION};
use url::{Url, form_urlencoded};

use super::error::{CodeError, EntraError};
use crate::message::Reply;

/// The value of `response_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ResponseMode {
    /// In the query of the redirect URI. This is the default for codes.
    #[default]
    Query,
    /// In the fragment of the redirect URI, which stays in the browser.
    Fragment,
    /// In a form, which the browser posts to the redirect URI.
    FormPost,
}

impl ResponseMode {
    /// The mode that a request asks for.
    pub(super) fn of(asked: Option<&String>) -> Result<Self, EntraError> {
        match asked.map(String::as_str) {
            None | Some("query") => Ok(Self::Query),
            Some("fragment") => Ok(Self::Fragment),
            Some("form_post") => Ok(Self::FormPost),
            Some(_) => Err(CodeError::UnsupportedResponse("response_mode").into()),
        }
    }

    /// Sends the browser to `redirect` with these parameters.
    pub(super) fn reply(self, redirect: &Url, parameters: &[(&str, &str)]) -> Reply {
        let mut url = redirect.clone();
        match self {
            Self::Query => {
                url.query_pairs_mut().extend_pairs(parameters);
            }
            Self::Fragment => {
                let fragment = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
                url.set_fragment(Some(&fragment));
            }
            Self::FormPost => return form(redirect, parameters),
        }
        Reply::empty(StatusCode::FOUND).with(LOCATION, url.as_str())
    }
}

/// A page that posts itself. Without scripts, it has a button.
fn form(action: &Url, parameters: &[(&str, &str)]) -> Reply {
    let field =
        |(name, value): &(&str, &str)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value));
    let inputs = parameters.iter().map(field).collect::<Vec<_>>().join("\n");
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>presenced emulator</title>\n\
         <form method=\"post\" action=\"{}\">\n{inputs}\n<button>Continue</button>\n</form>\n\
         <script>document.forms[0].submit()</script>\n",
        escaped(action.as_str()),
    );
    Reply::text(StatusCode::OK, html).with(CONTENT_TYPE, "text/html; charset=utf-8")
}

/// `text` as the value of an attribute in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_keeps_the_values_whole() {
        let redirect = Url::parse("http://localhost:1/?a=b").unwrap();
        let parameters = [("code", "1.x"), ("state", "\"><script>&")];
        let location = |mode: ResponseMode| {
            let reply = mode.reply(&redirect, &parameters);
            reply.headers[LOCATION].to_str().unwrap().to_owned()
        };
        let pairs = "code=1.x&state=%22%3E%3Cscript%3E%26";
        assert_eq!(location(ResponseMode::Query), format!("http://localhost:1/?a=b&{pairs}"));
        assert_eq!(location(ResponseMode::Fragment), format!("http://localhost:1/?a=b#{pairs}"));
        let page = ResponseMode::FormPost.reply(&redirect, &parameters);
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(page.contains("<form method=\"post\" action=\"http://localhost:1/?a=b\">"), "{page}");
        assert!(page.contains("name=\"state\" value=\"&quot;&gt;&lt;script&gt;&amp;\""), "{page}");
    }
}
