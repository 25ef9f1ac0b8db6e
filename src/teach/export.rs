//! The page as static files, for any web server: kernels, puzzles with their data and what the twins make of
//! it, and a recorded run. There is no runner then: kernels run in the visitor's browser, by WebGPU.

use super::assets::ASSETS;
use super::routes::Routes;
use std::io;
use std::path::Path;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Why no run is among them; `None` where it is.
    pub unrecorded: Option<String>,
}

/// Writes all files into a folder, which is made where there is none.
///
/// # Errors
/// Where the system refuses a file.
pub fn export(routes: &Routes, folder: &Path) -> io::Result<Export> {
    let mut paths: Vec<String> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
    paths.extend(["api/catalog", "api/convolutions", "api/puzzles"].map(str::to_owned));
    paths.extend(routes.kernels().map(|name| format!("api/kernel/{name}")));
    let mut bytes = 0;
    let mut save = |path: &str, body: &[u8]| {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        bytes += body.len();
        std::fs::write(path, body)
    };
    for path in &paths {
        save(path, &routes.get(path, "").body)?;
    }
    // What tells the page that nobody runs anything for it.
    save("api/mode", b"{\"runs\":false}")?;
    // A machine without an adapter writes all the rest.
    let record = routes.get("api/record", "");
    let unrecorded = match record.status {
        200 => {
            save("api/record", &record.body)?;
            None
        }
        _ => Some(String::from_utf8_lossy(&record.body).into_owned()),
    };
    Ok(Export {
        files: paths.len() + 1 + usize::from(unrecorded.is_none()),
        bytes,
        unrecorded,
    })
}
