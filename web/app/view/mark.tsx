// The mark: layers that get wider and brighter towards now.
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 20 16" width="20" height="16" aria-hidden="true">
      <path class="mark-2" d="M14 0h6v3h-6z" />
      <path class="mark-3" d="M11 4h9v3h-9z" />
      <path class="mark-4" d="M7 8h13v3H7z" />
      <path class="mark-32" d="M0 12h20v4H0z" />
    </svg>
  );
}
