"""AMI: meetings of four, headset microphones."""
