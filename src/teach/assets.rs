//! The files of the page, embedded in the program.

use std::borrow::Cow;

/// A file of the page.
pub struct Asset {
    /// Its path below the code in the address.
    pub path: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Its contents.
    pub bytes: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $kind:literal) => {
        Asset {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../../assets/teach/page/", $path)),
        }
    };
}

/// All of them.
pub const ASSETS: &[Asset] = &[
    asset!("index.html", "text/html; charset=utf-8"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("api.js", "text/javascript; charset=utf-8"),
    asset!("dom.js", "text/javascript; charset=utf-8"),
    asset!("editor.js", "text/javascript; charset=utf-8"),
    asset!("highlight.js", "text/javascript; charset=utf-8"),
    asset!("verdict.js", "text/javascript; charset=utf-8"),
    asset!("accesses.js", "text/javascript; charset=utf-8"),
    asset!("browser.js", "text/javascript; charset=utf-8"),
    asset!("chart.js", "text/javascript; charset=utf-8"),
    asset!("home.js", "text/javascript; charset=utf-8"),
    asset!("puzzles.js", "text/javascript; charset=utf-8"),
    asset!("lab.js", "text/javascript; charset=utf-8"),
    asset!("step.js", "text/javascript; charset=utf-8"),
    asset!("store.js", "text/javascript; charset=utf-8"),
    asset!("search.js", "text/javascript; charset=utf-8"),
    asset!("convolutions.js", "text/javascript; charset=utf-8"),
    asset!("sites.js", "text/javascript; charset=utf-8"),
    asset!("replay.js", "text/javascript; charset=utf-8"),
    asset!("trained.js", "text/javascript; charset=utf-8"),
];

impl Asset {
    /// The contents; in builds for development those of the file, where `AUTOREP_TEACH_PAGE` names the
    /// folder.
    pub fn contents(&self) -> Cow<'static, [u8]> {
        #[cfg(debug_assertions)]
        if let Some(folder) = std::env::var_os("AUTOREP_TEACH_PAGE")
            && let Ok(bytes) = std::fs::read(std::path::Path::new(&folder).join(self.path))
        {
            return Cow::Owned(bytes);
        }
        Cow::Borrowed(self.bytes)
    }
}

/// The file at a path; the empty path is the page.
pub fn find(path: &str) -> Option<&'static Asset> {
    let path = if path.is_empty() { "index.html" } else { path };
    ASSETS.iter().find(|asset| asset.path == path)
}
