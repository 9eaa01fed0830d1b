// A native dialog that is open as long as it is rendered. The browser keeps focus inside and gives it back at the end.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface SheetProps {
  class: string;
  labelledBy?: string;
  label?: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Sheet({ class: name, labelledBy, label, onClose, children }: SheetProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current!;
    element.showModal();
    return () => element.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={name}
      aria-labelledby={labelledBy}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault(); // the state closes it, not the browser
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose(); // outside: the backdrop belongs to the dialog
      }}
    >
      {children}
    </dialog>
  );
}
