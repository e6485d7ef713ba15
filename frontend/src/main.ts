import './design/tokens.css';
import './design/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { apply } from './lib/theme.svelte';

apply();
const target = document.querySelector('#app');
if (target) mount(App, { target });
