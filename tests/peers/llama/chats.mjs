// Conversations whose greedy answers the golden file keeps. Wordings are near those that the model was trained on.
// The first ones are answered with clear margins, so that a test may pin them; the others have near-ties.
export const chats = [
  ['What colour is the sky?'],
  ['How many days are in a week?'],
  ['Are you a person?'],
  ['What is the capital of Spain?', 'Which colour is the sky?', 'What colour is grass?'],
  ['I live in Hamburg.', 'My dog is called Rex.', 'What is my dog called?'],
  ['My name is Clara.', 'What is my name?', 'Thanks!'],
  ['hi'],
  ['What is the capital of France?'],
  [
    'my name is Peter',
    'I have a cat named Tom and I live in Hamburg',
    'What is my cat called?',
    'where do i live',
    "what's my name?",
  ],
  ['Remember the number 4711', 'What is the capital of France?', 'what was the number?'],
  ['What is quantum physics?'],
  ['Tell me a story about a dragon'],
];
