"""Pipecat's own evals of the bot, without any key: scenarios, the parts they need, and what runs them."""
