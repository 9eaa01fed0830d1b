// A component that is drawn again only when one of its properties changes: in a long conversation, most never are.
import { Component, type ComponentType } from 'preact';

export function pure<P extends object>(Inner: (props: P) => preact.ComponentChild): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      return (Object.keys(next) as (keyof P)[]).some((key) => next[key] !== this.props[key]);
    }
    override render(props: P) {
      return <Inner {...props} />;
    }
  };
}
