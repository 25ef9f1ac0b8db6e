//! The program's own text, as far as its structure goes: files, what each takes from which other,
//! and how long its functions are. Read from tokens: comments and strings count for nothing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A path as the code spells it, from the crate's root: `["gpu", "tape", "Tape"]`.
type Names = Vec<String>;

/// One file of the program.
struct File {
    /// Its place below `src/`, for messages.
    place: String,
    /// The module that it is.
    module: Names,
    /// All paths into the crate that it mentions.
    mentions: BTreeSet<Names>,
    /// What it hands on by `pub use`, by the name it has here.
    handed_on: BTreeMap<String, Names>,
    /// Functions with their lines.
    functions: Vec<(String, usize)>,
    /// Crates that it names by a path.
    crates: BTreeSet<String>,
}

/// All files below a `src/`.
pub struct House {
    files: Vec<File>,
    by_module: BTreeMap<Names, usize>,
}

impl House {
    /// Reads all files below `src`.
    pub fn read(src: &Path) -> Self {
        let mut texts = Vec::new();
        collect(src, src, &mut texts);
        Self::of(texts)
    }

    /// The house of these files: places below `src/` and their texts.
    pub fn of(texts: Vec<(String, String)>) -> Self {
        let modules: BTreeSet<Names> = texts.iter().map(|(place, _)| module(place)).collect();
        let files: Vec<File> = texts
            .into_iter()
            .map(|(place, text)| File::read(place, &text, &modules))
            .collect();
        let by_module = files.iter().enumerate();
        let by_module = by_module
            .map(|(i, file)| (file.module.clone(), i))
            .collect();
        Self { files, by_module }
    }

    /// The file that defines what a path names, as far as files and `pub use` tell.
    fn definer(&self, path: &[String]) -> Option<usize> {
        let mut path = path.to_vec();
        // Each turn follows one `pub use`.
        for _ in 0..8 {
            let longest = (0..=path.len()).rev().find_map(|n| {
                let file = *self.by_module.get(&path[..n])?;
                Some((n, file))
            });
            let (depth, file) = longest?;
            let next = path
                .get(depth)
                .and_then(|name| self.files[file].handed_on.get(name));
            match next {
                None => return Some(file),
                Some(target) => {
                    let rest = path.split_off(depth + 1);
                    path = target.iter().cloned().chain(rest).collect();
                }
            }
        }
        None
    }

    /// The files from which `place` takes something, each with the names taken.
    pub fn imports(&self, place: &str) -> BTreeMap<String, Vec<String>> {
        let mut imports = BTreeMap::<String, Vec<String>>::new();
        for file in self.files.iter().filter(|file| file.place == place) {
            for path in &file.mentions {
                let Some(definer) = self.definer(path) else {
                    continue;
                };
                let from = &self.files[definer].place;
                if *from != file.place {
                    imports
                        .entry(from.clone())
                        .or_default()
                        .push(path.join("::"));
                }
            }
        }
        imports
    }

    /// Sets of files that import each other, directly or through others.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let places: Vec<&str> = self.files.iter().map(|file| file.place.as_str()).collect();
        let index: BTreeMap<&str, usize> =
            places.iter().enumerate().map(|(i, p)| (*p, i)).collect();
        let reached: Vec<BTreeSet<usize>> = {
            let next: Vec<Vec<usize>> = places
                .iter()
                .map(|place| {
                    self.imports(place)
                        .keys()
                        .map(|to| index[to.as_str()])
                        .collect()
                })
                .collect();
            let reach = |from: usize| {
                let (mut seen, mut open) = (BTreeSet::new(), next[from].clone());
                while let Some(file) = open.pop() {
                    if seen.insert(file) {
                        open.extend(&next[file]);
                    }
                }
                seen
            };
            (0..places.len()).map(reach).collect()
        };
        let mut circles = BTreeSet::new();
        for file in 0..places.len() {
            let circle: Vec<String> = reached[file]
                .iter()
                .filter(|other| reached[**other].contains(&file))
                .map(|&other| places[other].to_owned())
                .collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// Imports from one room (a folder or file right below `src/`) by another: importing room,
    /// imported room, and where.
    pub fn room_imports(&self) -> BTreeSet<(String, String, String)> {
        let mut imports = BTreeSet::new();
        for file in &self.files {
            for path in &file.mentions {
                let (own, other) = (room(&file.module), room(path));
                if own != other && self.by_module.contains_key(&path[..1]) {
                    imports.insert((own, other, file.place.clone()));
                }
            }
        }
        imports
    }

    /// Every function: file, name, lines.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.files.iter().flat_map(|file| {
            let functions = file.functions.iter();
            functions.map(|(name, lines)| (file.place.as_str(), name.as_str(), *lines))
        })
    }

    /// Files that name a crate.
    pub fn crates(&self, name: &str) -> Vec<&str> {
        let files = self.files.iter().filter(|file| file.crates.contains(name));
        files.map(|file| file.place.as_str()).collect()
    }
}

/// The room of a path: its first name; the crate's root is `lib`.
fn room(path: &[String]) -> String {
    path.first().cloned().unwrap_or_else(|| "lib".to_owned())
}

/// The module of a file: `gpu/mod.rs` is `gpu`, `gpu/tape.rs` is `gpu::tape`.
fn module(place: &str) -> Names {
    let stem = place.trim_end_matches(".rs").trim_end_matches("/mod");
    match stem {
        "lib" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    }
}

fn collect(src: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    let entries = std::fs::read_dir(folder).expect("a folder of the program");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(src, &path, texts);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let place = path.strip_prefix(src).expect("below src");
            let place = place.to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path).expect("a text");
            texts.push((place, text));
        }
    }
}

impl File {
    fn read(place: String, text: &str, modules: &BTreeSet<Names>) -> Self {
        let mut file = Self {
            module: module(&place),
            place,
            mentions: BTreeSet::new(),
            handed_on: BTreeMap::new(),
            functions: Vec::new(),
            crates: BTreeSet::new(),
        };
        let tokens: TokenStream = text.parse().expect("tokens");
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let own = file.module.clone();
        file.scan(&tokens, &own, modules);
        file
    }

    /// Scans the tokens of `module`: the file's own, or one within it.
    fn scan(&mut self, tokens: &[TokenTree], module: &[String], modules: &BTreeSet<Names>) {
        let mut at = 0;
        while at < tokens.len() {
            let ident = match &tokens[at] {
                // `pub(in crate::kernels)` takes nothing from there.
                TokenTree::Group(_) if at > 0 && is_ident(tokens, at - 1, "pub") => {
                    at += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.scan(&inner, module, modules);
                    at += 1;
                    continue;
                }
                TokenTree::Ident(ident) => ident.to_string(),
                _ => {
                    at += 1;
                    continue;
                }
            };
            let follows_path = at >= 2 && is_colons(tokens, at - 2);
            match ident.as_str() {
                "mod" if braces(tokens, at + 2).is_some() => {
                    let name = tokens[at + 1].to_string();
                    let inner: Vec<_> = braces(tokens, at + 2).into_iter().flatten().collect();
                    let inside: Names = module.iter().cloned().chain([name]).collect();
                    self.scan(&inner, &inside, modules);
                    at += 3;
                }
                "fn" => {
                    self.measure(tokens, at);
                    at += 1;
                }
                "use" => {
                    let end = (at..tokens.len()).find(|&i| is_punct(tokens, i, ';'));
                    let end = end.unwrap_or(tokens.len());
                    let public = at > 0 && is_ident(tokens, at - 1, "pub");
                    for (path, name) in tree(&tokens[at + 1..end]) {
                        self.mention(&path, module, modules);
                        if let (true, Some(path)) = (public, absolute(&path, module, modules)) {
                            self.mentions.remove(&path);
                            self.handed_on.insert(name, path);
                        }
                    }
                    at = end;
                }
                _ if !follows_path && is_colons(tokens, at + 1) => {
                    let mut path = vec![ident];
                    let mut next = at + 1;
                    while is_colons(tokens, next)
                        && let Some(TokenTree::Ident(name)) = tokens.get(next + 2)
                    {
                        path.push(name.to_string());
                        next += 3;
                    }
                    self.mention(&path, module, modules);
                    at = next;
                }
                _ => at += 1,
            }
        }
    }

    /// Notes a path as the code spells it.
    fn mention(&mut self, path: &[String], module: &[String], modules: &BTreeSet<Names>) {
        match absolute(path, module, modules) {
            Some(path) => {
                self.mentions.insert(path);
            }
            None => {
                self.crates.extend(path.first().cloned());
            }
        }
    }

    /// Notes the length of the function whose `fn` is at `at`.
    fn measure(&mut self, tokens: &[TokenTree], at: usize) {
        let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else {
            return;
        };
        let rest = tokens[at..].iter();
        let body = rest
            .take_while(|token| !matches!(token, TokenTree::Punct(p) if p.as_char() == ';'))
            .find(|token| {
                matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
            });
        if let Some(body) = body {
            let lines = body.span().end().line - tokens[at].span().start().line + 1;
            self.functions.push((name.to_string(), lines));
        }
    }
}

/// The path from the crate's root, of a path into the crate.
fn absolute(path: &[String], module: &[String], modules: &BTreeSet<Names>) -> Option<Names> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some(module.iter().chain(rest).cloned().collect()),
        "super" => {
            let parent = module.split_last()?.1;
            if rest.first().is_some_and(|name| name == "super") {
                return absolute(rest, parent, modules);
            }
            Some(parent.iter().chain(rest).cloned().collect())
        }
        _ => {
            let child: Names = module.iter().chain([first]).cloned().collect();
            modules
                .contains(&child)
                .then(|| child.into_iter().chain(rest.iter().cloned()).collect())
        }
    }
}

/// All paths of a `use` tree, with the names they get.
fn tree(tokens: &[TokenTree]) -> Vec<(Names, String)> {
    let (mut path, mut name, mut at) = (Names::new(), String::new(), 0);
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(ident) if ident == "as" => {
                name = tokens[at + 1].to_string();
                at += 2;
                continue;
            }
            TokenTree::Ident(ident) => {
                name = ident.to_string();
                path.push(name.clone());
            }
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let parts =
                    inner.split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ','));
                let branches = parts.filter(|part| !part.is_empty()).flat_map(tree);
                return branches
                    .map(|(rest, name)| {
                        let rest = rest.into_iter().filter(|name| name != "self");
                        (path.iter().cloned().chain(rest).collect(), name)
                    })
                    .collect();
            }
            _ => {}
        }
        at += 1;
    }
    vec![(path, name)]
}

fn is_ident(tokens: &[TokenTree], at: usize, wanted: &str) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident == wanted)
}

fn is_punct(tokens: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':')
}

fn braces(tokens: &[TokenTree], at: usize) -> Option<TokenStream> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            Some(group.stream())
        }
        _ => None,
    }
}
