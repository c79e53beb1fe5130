// Where a citation points, in words.

export function citationPlace(app, citation) {
  const at = citation.page ? app.t("page", { page: citation.page }) : app.t("line", { line: citation.line_start });
  return [at, citation.heading].filter(Boolean).join(" · ");
}
