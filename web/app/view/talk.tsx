// The conversation, newest at the bottom. Thousands of turns must not slow the page down: those out of view are skipped by
// the browser (content-visibility), and turns that have not changed are not drawn again (pure).
import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { chat } from '../state/app';
import { exchangeNumbers, lastUserTurn } from '../state/conversation';
import { turnRequest, visibleTurns } from '../state/ui';
import { text } from '../strings';
import { observeWithin } from './answer_text';
import { Doing } from './doing';
import { childrenInView, ScrollKeeper } from './scroll';
import { Start } from './start';
import { TurnItem } from './turn';

const settleFrames = 4; // heights of skipped turns are guesses until they have been in view

export function Talk() {
  const scroll = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const keeper = useRef<ScrollKeeper>(undefined);
  const away = useSignal(false);
  const { id, turns } = chat.conversation.value;

  useLayoutEffect(() => observeWithin(scroll.current!), []);
  useEffect(() => {
    const element = scroll.current!;
    keeper.current = new ScrollKeeper(element, (isAway) => {
      away.value = isAway;
    });
    let frame = 0;
    const look = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        const count = chat.conversation.peek().turns.length;
        const seen = list.current && count > 0 ? childrenInView(element, list.current, count) : ([0, 0] as const);
        const before = visibleTurns.peek();
        if (seen[0] !== before[0] || seen[1] !== before[1]) visibleTurns.value = seen;
      });
    };
    element.addEventListener('scroll', look, { passive: true });
    const observer = new ResizeObserver(() => {
      keeper.current!.follow();
      look();
    });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', look);
      cancelAnimationFrame(frame);
    };
  }, []);

  // Another conversation, or one's own new message: to its end.
  const said = lastUserTurn(turns);
  useLayoutEffect(() => {
    let frames = settleFrames;
    let frame = 0;
    const settle = () => {
      if (chat.conversation.peek().turns.length > 0) keeper.current?.toEnd();
      else scroll.current!.scrollTop = 0;
      if (--frames > 0) frame = requestAnimationFrame(settle);
    };
    settle();
    return () => cancelAnimationFrame(frame);
  }, [id, said]);

  useSignalEffect(() => {
    const wanted = turnRequest.value;
    const item = wanted && list.current?.children[wanted.turn];
    if (!(item instanceof HTMLElement)) return;
    keeper.current!.letGo();
    let frames = settleFrames;
    const settle = () => {
      item.scrollIntoView({ block: 'start' });
      if (--frames > 0) requestAnimationFrame(settle);
    };
    settle();
    if (wanted?.focus) item.focus({ preventScroll: true });
  });

  const numbers = exchangeNumbers(turns);
  return (
    <>
      <div ref={scroll} class="scroll" tabIndex={0} role="region" aria-label={text.chat.label}>
        <div class="column">
          {turns.length === 0 && <Start />}
          <ol ref={list} class="turns" role="list" hidden={turns.length === 0}>
            {turns.map((turn, index) => (
              <TurnItem
                key={`${id} ${index}`}
                turn={turn}
                index={index}
                exchange={numbers[index]!}
                last={index === said || (index === turns.length - 1 && turn.role === 'assistant')}
              />
            ))}
            {turns.length > 0 && <Doing />}
          </ol>
        </div>
      </div>
      {away.value && (
        <div class="jump">
          <button type="button" class="btn" onClick={() => keeper.current!.toEnd()}>
            {text.chat.newest}
          </button>
        </div>
      )}
    </>
  );
}
