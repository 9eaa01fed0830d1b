// Names and what they stand for, one below the other.

export function Facts({ facts }: { facts: [name: string, fact: string][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, fact]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{fact}</dd>
        </div>
      ))}
    </dl>
  );
}
