//! What the browser shows when it comes back: whole in itself, so that it asks nobody for anything and tells nobody the
//! address it was opened with.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::failure::Failure;
use crate::sanitize::escape_markup;

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    /// Paragraphs; plain text.
    text: Vec<String>,
}

impl Page {
    fn new(status: StatusCode, title: &'static str, text: &str) -> Self {
        Self { status, title, text: vec![text.to_owned()] }
    }

    /// It is done.
    pub(super) fn signed_in() -> Self {
        Self::new(StatusCode::OK, "Signed in", "presenced can go on. You may close this page.")
    }

    /// It failed.
    pub(super) fn failed(failure: &Failure) -> Self {
        let hint = failure.hint.iter().map(|hint| format!("To mend it: {hint}."));
        let text = std::iter::once(format!("{}.", failure.text)).chain(hint).collect();
        Self { status: StatusCode::OK, title: "Not signed in", text }
    }

    /// The attempt has ended, or is about to, by another redirect.
    pub(super) fn over() -> Self {
        let text = "This sign-in has been answered already. The terminal says how it ended.";
        Self::new(StatusCode::CONFLICT, "Answered already", text)
    }

    /// A redirect that is none of this attempt.
    pub(super) fn stray() -> Self {
        let text = "This is not the answer to the sign-in that presenced waits for. Use the page that it shows in the terminal.";
        Self::new(StatusCode::BAD_REQUEST, "Not this sign-in", text)
    }

    /// Nothing is here.
    pub(super) fn elsewhere() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing is here", "presenced waits here for a sign-in, and for nothing else.")
    }

    /// The method is not allowed.
    pub(super) fn no_get() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Not in this way", "Open this page in a browser.")
    }

    /// As HTTP.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.html().into()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The code is in the address.
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
            (CONNECTION, "close"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }

    fn html(&self) -> String {
        let text: Vec<_> = self.text.iter().map(|text| format!("<p>{}</p>\n", escape_markup(text))).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width\">\n<title>{title} – presenced</title>\n<style>body {{ font: 1.1em/1.5 sans-serif; \
             max-width: 36em; margin: 4em auto; padding: 0 1em; color-scheme: light dark }}</style>\n<h1>{title}</h1>\n{text}",
            title = self.title,
            text = text.concat(),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::failure::FailureKind;

    use super::*;

    #[test]
    fn what_others_wrote_is_text_and_nothing_more() {
        let failure = Failure::new(FailureKind::Refused, "<script>alert('x')</script> & more").with_hint("say \"no\"");
        let html = Page::failed(&failure).html();
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; more."), "{html}");
        assert!(html.contains("say &quot;no&quot;."), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }

    #[test]
    fn a_page_asks_nobody_for_anything() {
        for page in [Page::signed_in(), Page::over(), Page::stray(), Page::elsewhere(), Page::no_get()] {
            let html = page.html();
            assert!(!html.contains("src=") && !html.contains("href=") && !html.contains("url("), "{html}");
            let response = page.response();
            let header = |name| response.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!((header("referrer-policy"), header("cache-control")), ("no-referrer", "no-store"));
            assert_eq!(header("connection"), "close");
        }
    }
}
