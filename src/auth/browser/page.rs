//! What the browser shows when it comes back. The page is self-contained, so that the browser requests nothing else and sends
//! the page's address to nobody.

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

    /// The sign-in succeeded.
    pub(super) fn signed_in() -> Self {
        Self::new(StatusCode::OK, "Signed in", "presenced can continue. You may close this page.")
    }

    /// The sign-in failed.
    pub(super) fn failed(failure: &Failure) -> Self {
        let hint = failure.hint.iter().map(|hint| format!("How to fix it: {hint}."));
        let text = std::iter::once(format!("{}.", failure.text)).chain(hint).collect();
        Self { status: StatusCode::OK, title: "Not signed in", text }
    }

    /// Another redirect has ended the attempt, or is about to.
    pub(super) fn over() -> Self {
        let text = "This sign-in has already been answered. The terminal shows the result.";
        Self::new(StatusCode::CONFLICT, "Answered already", text)
    }

    /// A redirect that does not belong to this attempt.
    pub(super) fn stray() -> Self {
        let text = "This is not the answer to the sign-in that presenced waits for. Use the page that it shows in the terminal.";
        Self::new(StatusCode::BAD_REQUEST, "Not this sign-in", text)
    }

    /// There is nothing at this address.
    pub(super) fn elsewhere() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing is here", "presenced only waits here for a sign-in.")
    }

    /// The method is not allowed.
    pub(super) fn no_get() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "Open this page in a browser.")
    }

    /// As an HTTP response.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.html().into()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The address contains the code.
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
    fn text_from_others_is_shown_as_text() {
        let failure = Failure::new(FailureKind::Refused, "<script>alert('x')</script> & more").with_hint("say \"no\"");
        let html = Page::failed(&failure).html();
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; more."), "{html}");
        assert!(html.contains("say &quot;no&quot;."), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }

    #[test]
    fn a_page_requests_nothing_else() {
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
