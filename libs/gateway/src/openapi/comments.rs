//! What the contracts say of a thing, in the comment above it.

use prost_reflect::FileDescriptor;

/// The comment above the thing at `path` (see `google.protobuf.SourceCodeInfo`).
pub(super) fn of(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let source = file.file_descriptor_proto().source_code_info.as_ref()?;
    let location = source.location.iter().find(|location| location.path == path)?;
    let lines: Vec<&str> = location.leading_comments().lines().map(str::trim).collect();
    let text = lines.join(" ").trim().to_owned();
    (!text.is_empty()).then_some(text)
}
